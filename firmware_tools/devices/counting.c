/*
 * Counts the instructions of each op while Unicorn runs the firmware: called before every block that is executed.
 * Loaded into the emulator's process; a Python callback does the same at ten times the price (counting.py).
 *
 * A window opens at the op's first block, which is the one after the block of the function that calls it, and closes
 * at its return address.
 */
#include <stdint.h>
#include <string.h>

#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

typedef struct {
    /* Given by the host. */
    const uint8_t *code;  /* the firmware's flash as loaded */
    uint16_t *lengths;    /* instructions of the block at each half-word of the code, 0 where not known yet */
    uint32_t *sizes;      /* the size in bytes for which that was counted */
    uint64_t code_start;
    uint64_t code_bytes;
    uint64_t opens_at;    /* address of the function that calls an op */
    uint64_t budget;      /* blocks until the emulator is stopped */
    int (*read_register)(void *emulator, int which, void *value);
    int (*stop)(void *emulator);
    int32_t return_register;
    int32_t is_riscv;
    /* Kept here. */
    uint64_t instructions; /* in windows, until the host takes them */
    uint64_t armed;        /* the next block is an op's first */
    uint64_t closes_at;    /* 0 while no window is open */
    uint64_t exhausted;
} counter;

static uint32_t instruction_bytes(const counter *c, const uint8_t *at)
{
    if (c->is_riscv) {
        return (at[0] & 3u) == 3u ? 4 : 2;
    }
    uint8_t prefix = (uint8_t)(at[1] >> 3); /* Thumb: 0b11101, 0b11110, 0b11111 begin a 32-bit instruction */
    return prefix >= 0x1D ? 4 : 2;
}

static uint64_t block_instructions(counter *c, uint64_t address, uint32_t size)
{
    uint64_t offset = address - c->code_start;
    if (address < c->code_start || offset + size > c->code_bytes) {
        return 0; /* not flash: the emulator faults there by itself */
    }
    uint64_t slot = offset / 2;
    if (c->lengths[slot] == 0 || c->sizes[slot] != size) {
        uint16_t count = 0;
        for (uint64_t at = offset; at < offset + size; at += instruction_bytes(c, c->code + at)) {
            count++;
        }
        c->lengths[slot] = count;
        c->sizes[slot] = size;
    }
    return c->lengths[slot];
}

EXPORT void count_block(void *emulator, uint64_t address, uint32_t size, void *user);

EXPORT void count_block(void *emulator, uint64_t address, uint32_t size, void *user)
{
    counter *c = user;
    if (c->budget == 0) {
        c->exhausted = 1;
        c->stop(emulator);
        return;
    }
    c->budget--;
    if (c->closes_at == 0) {
        if (c->armed == 0) {
            c->armed = address == c->opens_at;
            return;
        }
        uint32_t back = 0;
        c->armed = 0;
        c->read_register(emulator, c->return_register, &back);
        c->closes_at = back & ~(uint64_t)1;
    }
    if (address == c->closes_at) {
        c->closes_at = 0;
        return;
    }
    c->instructions += block_instructions(c, address, size);
}
