// Attention over few tokens, a whole head in one block: one launch forward, one launch back.
//
//     s_ij = a q_i·k_j − b ‖k_j‖²,   p_ij = e^(s_ij) / Σ_j e^(s_ij),   y_i = Σ_j p_ij v_j
//
// With a = scale, b = 0 this is dot-product attention; with a = 2 scale, b = scale it is L2 attention, because
// −‖q − k‖² = 2 q·k − ‖k‖² − ‖q‖² and the last term is the same along a row, so softmax does not see it.
//
// q, y (B, Nq, H, d) and k, v (B, Nk, H, d), as the projections write them and the output projection reads them:
// nothing is transposed. Nq and Nk may differ: where only the class token is read, it is the one query.
// One block for each (sample, head). The matrix of probabilities (Nq, Nk) never reaches memory. The forward keeps one
// number a row, lse_i = ln Σ_j e^(s_ij), from which the backward gets any p_ij = e^(s_ij − lse_i) again.
#include "common.cuh"

// A matrix (N, d) of one head in shared memory. Rows are d + 1 apart: when the 32 lanes read 32 rows at the same
// column, their addresses then fall into 32 different banks (for even d); at a distance of d = 32 all would fall into
// one and wait in line.
__device__ void load_head(const float* from, float* to, int tokens, int stride, int d) {
    for (int i = threadIdx.x; i < tokens * d; i += blockDim.x) {
        int row = i / d, c = i % d;
        to[row * (d + 1) + c] = from[(size_t)row * stride + c];
    }
}

__device__ float dot(const float* a, const float* b, int d) {
    float sum = 0;
    for (int c = 0; c < d; c++) sum += a[c] * b[c];
    return sum;
}

// b ‖k_j‖² of every key, one thread a key.
__device__ void key_norms(const float* keys, float* norms, int tokens, int d, float b) {
    for (int j = threadIdx.x; j < tokens; j += blockDim.x) {
        const float* key = keys + j * (d + 1);
        norms[j] = b * dot(key, key, d);
    }
}

// Shared memory: keys (Nk, d+1), values (Nk, d+1), norms (Nk), and for each warp a query (d) and its probabilities (Nk).
// A warp takes one query at a time. First a lane stands for a key: it computes s_ij for j = lane, lane + 32, …
// Then a lane stands for a coordinate c: it sums p_ij v_jc over all j, reading what the other lanes have written.
extern "C" __global__ void attention_forward(const float* q, const float* k, const float* v, float* y, float* lse,
                                             int queries, int tokens, int heads, int d, float a, float b) {
    extern __shared__ float shared[];
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
    float* keys = shared;
    float* values = keys + tokens * (d + 1);
    float* norms = values + tokens * (d + 1);
    float* query = norms + tokens + warp * (d + tokens);
    float* p = query + d;

    int stride = heads * d;  // from one token to the next
    size_t sample = blockIdx.x / heads, head = blockIdx.x % heads * d;
    size_t of_queries = sample * queries * stride + head, of_keys = sample * tokens * stride + head;
    q += of_queries, y += of_queries, k += of_keys, v += of_keys;
    lse += (size_t)blockIdx.x * queries;

    load_head(k, keys, tokens, stride, d);
    load_head(v, values, tokens, stride, d);
    __syncthreads();  // all keys are there
    key_norms(keys, norms, tokens, d, b);
    __syncthreads();  // all norms are there

    for (int i = warp; i < queries; i += warps) {
        for (int c = lane; c < d; c += 32) query[c] = q[(size_t)i * stride + c];
        __syncwarp();  // the whole query is there, and nobody reads the p of the row before any more

        float top = LOWEST;
        for (int j = lane; j < tokens; j += 32) {
            p[j] = a * dot(query, keys + j * (d + 1), d) - norms[j];
            top = fmaxf(top, p[j]);
        }
        top = warp_max(top);
        float sum = 0;
        for (int j = lane; j < tokens; j += 32) {
            p[j] = expf(p[j] - top);
            sum += p[j];
        }
        sum = warp_sum(sum);
        __syncwarp();  // all p are there, and nobody reads the query any more (a shuffle orders no memory: barriers do)

        for (int c = lane; c < d; c += 32) {
            float out = 0;
            for (int j = 0; j < tokens; j++) out += p[j] * values[j * (d + 1) + c];
            y[(size_t)i * stride + c] = out / sum;
        }
        if (lane == 0) lse[i] = top + logf(sum);
    }
}

// ∂L/∂v_j = Σ_i p_ij g_i,   h_ij = p_ij (g_i·v_j − δ_i),   δ_i = Σ_j p_ij g_i·v_j
// ∂L/∂q_i = a Σ_j h_ij k_j,   ∂L/∂k_j = a Σ_i h_ij q_i − 2b Σ_i h_ij k_j            (Σ_j h_ij = 0)
//
// Two passes over pairs (i, j). In the first a warp takes a query i, with all keys and values in shared memory; it
// finds δ_i and ∂L/∂q_i. In the second a warp takes a key j, with all queries and their g in the same place; it finds
// ∂L/∂k_j and ∂L/∂v_j. Every p_ij is computed twice, but each sum belongs to one warp: no atomics, and half the shared
// memory.
// Shared memory, with N the larger of Nq and Nk: two matrices (N, d+1), norms (Nk), δ (Nq), and for each warp two rows
// (d) and two columns (N).
extern "C" __global__ void attention_backward(const float* g, const float* q, const float* k, const float* v,
                                              const float* lse, float* gq, float* gk, float* gv, int queries,
                                              int tokens, int heads, int d, float a, float b) {
    extern __shared__ float shared[];
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
    int most = max(queries, tokens);
    float* first = shared;                     // keys, then queries
    float* second = first + most * (d + 1);    // values, then g
    float* norms = second + most * (d + 1);
    float* delta = norms + tokens;
    float* mine = delta + queries + warp * 2 * (d + most);  // q_i, then k_j
    float* other = mine + d;                                // g_i, then v_j
    float* p = other + d;                                   // p_ij along i or j
    float* h = p + most;                                    // h_ij

    int stride = heads * d;
    size_t sample = blockIdx.x / heads, head = blockIdx.x % heads * d;
    size_t of_queries = sample * queries * stride + head, of_keys = sample * tokens * stride + head;
    g += of_queries, q += of_queries, gq += of_queries;
    k += of_keys, v += of_keys, gk += of_keys, gv += of_keys;
    lse += (size_t)blockIdx.x * queries;

    load_head(k, first, tokens, stride, d);
    load_head(v, second, tokens, stride, d);
    __syncthreads();
    key_norms(first, norms, tokens, d, b);
    __syncthreads();

    for (int i = warp; i < queries; i += warps) {
        for (int c = lane; c < d; c += 32) {
            mine[c] = q[(size_t)i * stride + c];
            other[c] = g[(size_t)i * stride + c];
        }
        __syncwarp();  // q_i and g_i are there, and nobody reads the h of the row before any more
        float inner = 0;
        for (int j = lane; j < tokens; j += 32) {
            p[j] = expf(a * dot(mine, first + j * (d + 1), d) - norms[j] - lse[i]);
            h[j] = dot(other, second + j * (d + 1), d);
            inner += p[j] * h[j];
        }
        inner = warp_sum(inner);
        if (lane == 0) delta[i] = inner;
        for (int j = lane; j < tokens; j += 32) h[j] = p[j] * (h[j] - inner);
        __syncwarp();  // all h of this row are there, and nobody reads q_i and g_i any more
        for (int c = lane; c < d; c += 32) {
            float out = 0;
            for (int j = 0; j < tokens; j++) out += h[j] * first[j * (d + 1) + c];
            gq[(size_t)i * stride + c] = a * out;
        }
    }

    __syncthreads();  // every warp is done with keys and values
    load_head(q, first, queries, stride, d);
    load_head(g, second, queries, stride, d);
    __syncthreads();  // all queries and g are there, and all δ

    for (int j = warp; j < tokens; j += warps) {
        for (int c = lane; c < d; c += 32) {
            mine[c] = k[(size_t)j * stride + c];
            other[c] = v[(size_t)j * stride + c];
        }
        __syncwarp();  // as above
        float column = 0;
        for (int i = lane; i < queries; i += 32) {
            p[i] = expf(a * dot(first + i * (d + 1), mine, d) - norms[j] - lse[i]);
            h[i] = p[i] * (dot(second + i * (d + 1), other, d) - delta[i]);
            column += h[i];
        }
        column = warp_sum(column);
        __syncwarp();  // as above; mine[c] below is what this lane wrote itself
        for (int c = lane; c < d; c += 32) {
            float out_k = 0, out_v = 0;
            for (int i = 0; i < queries; i++) {
                out_k += h[i] * first[i * (d + 1) + c];
                out_v += p[i] * second[i * (d + 1) + c];
            }
            size_t at = (size_t)j * stride + c;
            out_k = a * out_k - 2 * b * column * mine[c];
            gv[at] = out_v;
            gk[at] = out_k;
        }
    }
}
