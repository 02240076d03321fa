/* Start of a Cortex-M, its requests to the host, and its SysTick as a counter of instructions. */
#include "board.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define COPROCESSORS REGISTER(0xE000ED88u)
#define TICK_CONTROL REGISTER(0xE000E010u)
#define TICK_RELOAD REGISTER(0xE000E014u)
#define TICK_NOW REGISTER(0xE000E018u)

static const uint32_t TURN = 0x1000000;
static volatile uint32_t turns;

void board_reset(void);
void board_stack(void); /* an address, from board.ld */

static void tick(void) {
    ++turns;
}

static void fault(void) {
    board_text("the processor reports a fault\n");
    board_exit(3);
}

typedef void (*vector)(void);

/* The first word is the stack's end; NMI, faults and what else there is end the program. */
__attribute__((section(".vectors"), used)) static const vector vectors[16] = {
    board_stack, board_reset, fault, fault, fault, fault, fault, fault,
    fault,       fault,       fault, fault, fault, fault, fault, tick,
};

void board_reset(void) {
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
    COPROCESSORS |= 0xFu << 20;
    __asm__ volatile("dsb\n\tisb" : : : "memory");
#endif
    TICK_RELOAD = TURN - 1;
    TICK_NOW = 0;
    TICK_CONTROL = 7; /* runs, interrupts, by the processor's clock */
    board_start();
}

uint32_t board_instructions(void) {
    uint32_t before, now;
    do {
        before = turns;
        now = TURN - 1 - TICK_NOW;
    } while (before != turns);
    /* An instruction takes a nanosecond, a tick takes a cycle of the clock. */
    return (uint32_t)(((uint64_t)before * TURN + now) * (4000u / BOARD_MEGAHERTZ) / 4u);
}

int board_host(int operation, const void *argument) {
    register int result __asm__("r0") = operation;
    register const void *given __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(result) : "r"(given) : "memory");
    return result;
}
