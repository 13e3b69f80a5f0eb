"""The linker script of a board, made from its memory regions."""

from firmware_tools.boards import Board

_TEMPLATE = """\
/* Made from the board's description: {title}, {chip}. */
ENTRY(reset)

MEMORY
{{
    flash (rx) : ORIGIN = {flash_origin:#010x}, LENGTH = {flash_length:#x}
    constants (r) : ORIGIN = {constants_origin:#010x}, LENGTH = {constants_length:#x}
    ram (rw) : ORIGIN = {ram_origin:#010x}, LENGTH = {ram_length:#x}
}}

SECTIONS
{{
    .vectors : {{ KEEP(*(.vectors)) }} > flash
    .text : {{ *(.text .text.*) }} > flash
    .rodata : ALIGN(4) {{ *(.rodata .rodata.* .srodata .srodata.*) }} > {constants}

    /* At the low end of RAM: a stack that grows too far leaves RAM and faults, instead of eating the arena. */
    .stack (NOLOAD) : ALIGN(16) {{ . += {stack:#x}; link_stack_top = .; }} > ram

    .data : ALIGN(4)
    {{
        link_data_start = .;
        *(.data .data.* .sdata .sdata.*)
        . = ALIGN(4);
        link_data_end = .;
    }} > ram AT > {constants}
    link_data_image = LOADADDR(.data);

    .bss (NOLOAD) : ALIGN(16)
    {{
        link_bss_start = .;
        *(.bss .bss.* .sbss .sbss.* COMMON)
        . = ALIGN(4);
        link_bss_end = .;
    }} > ram

    /DISCARD/ : {{ *(.ARM.exidx*) *(.ARM.extab*) *(.comment) *(.note*) *(.eh_frame*) }}
}}
"""


def linker_script(board: Board) -> str:
    """The script: vectors, code and constants in flash, stack, data and arena in RAM; reserved parts left alone.

    >>> from firmware_tools import boards
    >>> "ORIGIN = 0x00010000, LENGTH = 0xf0000" in linker_script(boards.load("nano33ble"))
    True
    """
    flash_origin, flash_length = board.flash.usable
    constants_origin, constants_length = board.constants.usable
    ram_origin, ram_length = board.ram.usable
    return _TEMPLATE.format(
        title=board.title,
        chip=board.chip,
        flash_origin=flash_origin,
        flash_length=flash_length,
        constants="flash" if board.constants is board.flash else "constants",
        constants_origin=constants_origin,
        constants_length=constants_length,
        ram_origin=ram_origin,
        ram_length=ram_length,
        stack=board.stack,
    )
