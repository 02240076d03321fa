/* Start of a RISC-V processor, its requests to the host, and its counter of instructions. */
#include "board.h"

/* The first instruction is at the start of memory. Thread-local variables, of which libm has one, are plain ones. */
__asm__(
    ".section .vectors, \"ax\"\n"
    ".globl board_reset\n"
    "board_reset:\n"
    ".option push\n"
    ".option arch, +zicsr\n"
    ".option norelax\n"
    "    la gp, __global_pointer$\n"
    "    la sp, board_stack\n"
    "    la tp, board_threads\n"
    "    la t0, fault\n"
    "    csrw mtvec, t0\n"
    ".option pop\n"
    "    j board_start\n"
    ".text\n");

__attribute__((aligned(4), used)) static void fault(void) {
    board_text("the processor reports a fault\n");
    board_exit(3);
}

uint32_t board_instructions(void) {
    uint32_t count;
    __asm__ volatile(".option push\n.option arch, +zicsr\ncsrr %0, minstret\n.option pop" : "=r"(count));
    return count;
}

int board_host(int operation, const void *argument) {
    register int result __asm__("a0") = operation;
    register const void *given __asm__("a1") = argument;
    __asm__ volatile(
        ".option push\n"
        ".option norvc\n"
        ".balign 16\n"
        "slli x0, x0, 0x1f\n"
        "ebreak\n"
        "srai x0, x0, 7\n"
        ".option pop\n"
        : "+r"(result)
        : "r"(given)
        : "memory");
    return result;
}
