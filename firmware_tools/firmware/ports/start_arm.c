/* From reset to main on a Cortex-M: what the chip does not do by itself. */
#include <stdint.h>

/* Laid out by the linker script. */
extern uint32_t link_stack_top, link_data_start, link_data_end, link_bss_start, link_bss_end;
extern const uint32_t link_data_image;

int main(void);
void reset(void);
void fault(void);

/* Not reached in the emulator, which reports faults itself; on a board a debugger finds the core here. */
void fault(void)
{
    for (;;) {
    }
}

void reset(void)
{
#if defined(__ARM_FP)
    volatile uint32_t *coprocessor_access = (volatile uint32_t *)0xE000ED88u;
    *coprocessor_access |= 0xFu << 20; /* the FPU is off after reset */
    __asm__ volatile("dsb\n\tisb" ::: "memory");
#endif
    const uint32_t *from = &link_data_image;
    for (volatile uint32_t *to = &link_data_start; to < &link_data_end; to++) {
        *to = *from++;
    }
    for (volatile uint32_t *to = &link_bss_start; to < &link_bss_end; to++) {
        *to = 0;
    }
    main();
    fault();
}

/* Stack pointer, reset, and the system exceptions 2 to 15; interrupts are not used. */
typedef struct {
    uint32_t *stack;
    void (*handler[15])(void);
} vector_table;

__attribute__((section(".vectors"), used)) static const vector_table vectors = {
    .stack = &link_stack_top,
    .handler = {reset, fault, fault, fault, fault, fault, 0, 0, 0, 0, fault, fault, 0, fault, fault},
};
