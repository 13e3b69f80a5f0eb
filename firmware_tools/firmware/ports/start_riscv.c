/* From reset to main on a 32-bit RISC-V: what the chip does not do by itself. */
#include <stdint.h>

/* Laid out by the linker script. */
extern uint32_t link_data_start, link_data_end, link_bss_start, link_bss_end;
extern const uint32_t link_data_image;

int main(void);
void reset(void);
void prepare(void);

void prepare(void)
{
    const uint32_t *from = &link_data_image;
    for (volatile uint32_t *to = &link_data_start; to < &link_data_end; to++) {
        *to = *from++;
    }
    for (volatile uint32_t *to = &link_bss_start; to < &link_bss_end; to++) {
        *to = 0;
    }
    main();
    for (;;) {
    }
}

__attribute__((section(".vectors"), naked, used)) void reset(void)
{
    __asm__ volatile("la sp, link_stack_top\n\tj prepare");
}
