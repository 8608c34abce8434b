// A GPU of one thread at a time: the emulator that the kernels are linked with. emulator.py explains what it finds.
//
// Every CUDA thread of a block is a fiber with a stack of its own. It runs until it waits at a barrier or a shuffle, or
// returns; then the next one runs, in random order. Blocks run one after the other.
//
// The kernels are compiled with -fsanitize=thread, but not linked with its library: the compiler puts a call of
// __tsan_read4(address) and the like before each access to memory, and those functions are defined here.
#include <ucontext.h>

#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <random>
#include <string>
#include <vector>

struct Index { unsigned int x, y, z; };

namespace {

constexpr size_t STACK = 64 * 1024, MOST_SHARED = 256 * 1024;
constexpr int WARP = 32;

// Who touched four bytes, and when: the barriers of the block and of the warp that had passed.
struct Access { int block = -1, thread = -1, block_barriers = 0, warp_barriers = 0; };

// The last write, and the last reads by the same warp and by others, as far as a later write can conflict with them.
struct Cell { Access write, read, same_warp_read, other_warp_read; };

struct Region {
    const char* name;
    char* begin;
    size_t bytes;
    bool shared;
    std::vector<Cell> cells;
};

enum State { READY, AT_BLOCK_BARRIER, AT_WARP_BARRIER, AT_SHUFFLE, DONE };

struct Fiber {
    ucontext_t context;
    State state;
    const char* file;
    int line, distance, shuffles;
    unsigned int exchanged[2];  // two in turn: one may be written while the other is still read
};

void (*kernel)(void**);
void** arguments;
Index grid, block_size, block_index;
int threads, current, block_number, block_barriers, warp_barriers[WARP];
std::vector<Fiber> fibers;
std::vector<char> stacks;
std::vector<Region> regions;
ucontext_t scheduler;
std::string error;
std::string dropped_file;
int dropped_line, barriers_dropped;
alignas(64) char dynamic_shared[MOST_SHARED];

[[gnu::format(printf, 1, 2)]] void fail(const char* format, ...) {  // the first failure counts
    char text[500];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    if (error.empty()) error = text;
}

[[gnu::format(printf, 1, 2)]] void fail_here(const char* format, ...) {
    char text[400];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    fail("%s, by thread %d of block %d", text, current, block_number);
    swapcontext(&fibers[current].context, &scheduler);  // left for good: nothing resumes it
}

void wait(State state, const char* file, int line) {
    Fiber& f = fibers[current];
    f.state = state, f.file = file, f.line = line;
    swapcontext(&f.context, &scheduler);
}

bool dropped(const char* file, int line) {
    bool drop = line == dropped_line && dropped_file == file;
    barriers_dropped += drop;
    return drop;
}

void enter() {
    kernel(arguments);
    fibers[current].state = DONE;
    swapcontext(&fibers[current].context, &scheduler);
}

// --- barriers

// Do fibers[begin, end) wait for the same thing, and did none leave before? If not, a GPU would wait for ever.
bool together(int begin, int end, const char* what) {
    for (int t = begin; t < end; t++) {
        const Fiber &a = fibers[begin], &b = fibers[t];
        if (b.state == DONE || a.state == DONE) {
            const Fiber& waiting = a.state == DONE ? b : a;
            fail("%s at %s:%d of block %d: some threads wait there, others have returned", what, waiting.file,
                 waiting.line, block_number);
            return false;
        }
        if (a.state != b.state || a.line != b.line || strcmp(a.file, b.file) || a.distance != b.distance) {
            fail("%s of block %d: thread %d waits at %s:%d and thread %d at %s:%d", what, block_number, begin, a.file,
                 a.line, t, b.file, b.line);
            return false;
        }
    }
    return true;
}

void release(int begin, int end) {
    for (int t = begin; t < end; t++) fibers[t].state = READY;
}

// Every fiber has run as far as it could: open the barriers that they wait at. False: all is done, or nothing can go on.
bool open_barriers() {
    int at_block_barrier = 0, done = 0;
    for (Fiber& f : fibers) {
        at_block_barrier += f.state == AT_BLOCK_BARRIER;
        done += f.state == DONE;
    }
    if (done == threads) return false;
    if (at_block_barrier + done == threads) {
        if (!together(0, threads, "__syncthreads")) return false;
        block_barriers++;
        release(0, threads);
        return true;
    }
    for (int begin = 0; begin < threads; begin += WARP) {  // those that wait for the block go on waiting
        bool waiting = false;
        for (int t = begin; t < begin + WARP; t++) {
            waiting |= fibers[t].state == AT_WARP_BARRIER || fibers[t].state == AT_SHUFFLE;
        }
        if (!waiting) continue;
        if (!together(begin, begin + WARP, "a warp")) return false;
        if (fibers[begin].state == AT_WARP_BARRIER) warp_barriers[begin / WARP]++;  // a shuffle orders no memory
        release(begin, begin + WARP);
    }
    return true;
}

// --- memory

// Whether the access `a` is sure to have happened before what the current thread does now.
bool ordered(const Access& a, const Region& region) {
    if (a.thread < 0 || (region.shared && a.block != block_number)) return true;  // none, or before this block began
    if (a.block != block_number) return false;  // blocks run in any order
    if (a.thread == current || a.block_barriers != block_barriers) return true;
    return a.thread / WARP == current / WARP && a.warp_barriers != warp_barriers[current / WARP];
}

void conflict(const Region& region, size_t offset, const Access& a, const char* first, const char* second) {
    fail_here("race on %s at byte %zu: %s by thread %d of block %d and %s, with no barrier between", region.name,
              offset, first, a.thread, a.block, second);
}

void check_access(char* address, size_t bytes, bool writes) {
    char* stack = stacks.data() + current * STACK;
    if (address >= stack && address < stack + STACK) return;
    for (Region& region : regions) {
        if (address < region.begin || address >= region.begin + region.bytes) continue;
        size_t offset = address - region.begin;
        if (offset + bytes > region.bytes) break;
        if ((uintptr_t)address % bytes) return fail_here("misaligned access to %s at byte %zu", region.name, offset);
        for (size_t i = offset / 4; i <= (offset + bytes - 1) / 4; i++) {
            Cell& cell = region.cells[i];
            Access now = {block_number, current, block_barriers, warp_barriers[current / WARP]};
            if (region.shared && !writes && cell.write.block != block_number) {
                return fail_here("read of %s at byte %zu, which nothing was written to", region.name, offset);
            }
            if (!ordered(cell.write, region)) {
                return conflict(region, offset, cell.write, "a write", writes ? "a write" : "a read");
            }
            if (writes) {
                for (const Access& read : {cell.read, cell.same_warp_read, cell.other_warp_read}) {
                    if (!ordered(read, region)) return conflict(region, offset, read, "a read", "a write");
                }
                cell.write = now;
            } else if (cell.read.thread == current && cell.read.block == block_number) {
                cell.read = now;
            } else {
                bool same_warp = cell.read.block == block_number && cell.read.thread / WARP == current / WARP;
                (same_warp ? cell.same_warp_read : cell.other_warp_read) = cell.read;
                cell.read = now;
            }
        }
        return;
    }
    const Region* nearest = nullptr;
    for (const Region& region : regions) {
        if (region.begin <= address && (!nearest || region.begin > nearest->begin)) nearest = &region;
    }
    if (!nearest) nearest = &regions[0];
    fail_here("%s out of bounds, %td bytes beyond the start of %s (%zu bytes)", writes ? "write" : "read",
              address - nearest->begin, nearest->name, nearest->bytes);
}

// --- blocks

void run_block(std::minstd_rand& random) {
    block_barriers = 0;
    memset(warp_barriers, 0, sizeof warp_barriers);
    std::vector<int> order(threads);
    for (int t = 0; t < threads; t++) {
        Fiber& f = fibers[t];
        getcontext(&f.context);
        f.context.uc_stack.ss_sp = stacks.data() + t * STACK;
        f.context.uc_stack.ss_size = STACK;
        f.context.uc_link = &scheduler;
        makecontext(&f.context, enter, 0);
        f.state = READY, f.shuffles = 0, f.distance = 0;
        order[t] = t;
    }
    do {
        for (int i = threads - 1; i > 0; i--) std::swap(order[i], order[random() % (i + 1)]);
        for (int t : order) {
            if (fibers[t].state != READY) continue;
            current = t;
            swapcontext(&scheduler, &fibers[t].context);
            if (!error.empty()) return;
        }
    } while (open_barriers());
}

}  // namespace

// --- what the kernels call

extern "C" {

extern char __start_emu_shared[] __attribute__((weak, visibility("hidden")));  // the linker marks the section's ends
extern char __stop_emu_shared[] __attribute__((weak, visibility("hidden")));

Index emu_thread_index() {
    unsigned int t = current, x = block_size.x, y = block_size.y;
    return {t % x, t / x % y, t / (x * y)};
}
Index emu_block_index() { return block_index; }
Index emu_block_size() { return block_size; }
Index emu_grid_size() { return grid; }
void* emu_dynamic_shared() { return dynamic_shared; }

void emu_block_barrier(const char* file, int line) {
    if (!dropped(file, line)) wait(AT_BLOCK_BARRIER, file, line);
}

void emu_warp_barrier(const char* file, int line) {
    if (!dropped(file, line)) wait(AT_WARP_BARRIER, file, line);
}

unsigned int emu_shuffle_xor(unsigned int mask, unsigned int bits, int distance, const char* file, int line) {
    if (mask != 0xffffffff) fail_here("shuffle at %s:%d without all 32 lanes", file, line);
    Fiber& f = fibers[current];
    int turn = f.shuffles++ % 2;
    f.exchanged[turn] = bits;
    f.distance = distance;
    wait(AT_SHUFFLE, file, line);
    f.distance = 0;
    return fibers[current ^ distance].exchanged[turn];
}

#define EMU_ACCESS(bytes)                                                      \
    void __tsan_read##bytes(void* a) { check_access((char*)a, bytes, false); } \
    void __tsan_write##bytes(void* a) { check_access((char*)a, bytes, true); }
EMU_ACCESS(1)
EMU_ACCESS(4)
EMU_ACCESS(8)
EMU_ACCESS(16)
void __tsan_read_range(void* a, size_t bytes) {
    for (size_t i = 0; i < bytes; i += 4) check_access((char*)a + i, 4, false);
}
void __tsan_write_range(void* a, size_t bytes) {
    for (size_t i = 0; i < bytes; i += 4) check_access((char*)a + i, 4, true);
}
void __tsan_init() {}

// --- what emulator.py calls

void emu_drop_barrier(const char* file, int line) { dropped_file = file, dropped_line = line; }

// Run a kernel; returns what went wrong, or an empty string. `found`: how often a barrier was dropped.
const char* emu_run(void (*function)(void**), void** args, const unsigned int* sizes, size_t shared_bytes, int buffers,
                    const char** names, void** begins, const size_t* bytes, unsigned int seed, int* found) {
    kernel = function, arguments = args, error.clear(), barriers_dropped = 0;
    grid = {sizes[0], sizes[1], sizes[2]}, block_size = {sizes[3], sizes[4], sizes[5]};
    threads = block_size.x * block_size.y * block_size.z;
    fibers.resize(threads);
    if (stacks.size() < threads * STACK) stacks.resize(threads * STACK);
    if (shared_bytes > MOST_SHARED) return "more shared memory than there is";

    regions.clear();
    regions.push_back({"dynamic shared memory", dynamic_shared, shared_bytes, true, {}});
    regions.push_back({"shared memory", __start_emu_shared, size_t(__stop_emu_shared - __start_emu_shared), true, {}});
    for (int i = 0; i < buffers; i++) regions.push_back({names[i], (char*)begins[i], bytes[i], false, {}});
    for (Region& region : regions) region.cells.resize(region.bytes / 4 + 2);

    std::minstd_rand random(seed + 1);
    int blocks = grid.x * grid.y * grid.z;
    for (block_number = 0; block_number < blocks && error.empty(); block_number++) {
        unsigned int b = block_number;
        block_index = {b % grid.x, b / grid.x % grid.y, b / (grid.x * grid.y)};
        memset(dynamic_shared, 0xff, shared_bytes);  // NaN
        run_block(random);
    }
    *found = barriers_dropped;
    return error.c_str();
}

}  // extern "C"
