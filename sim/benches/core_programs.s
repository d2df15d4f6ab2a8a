@ What `core.rs` runs here and on QEMU: four workloads in one image, chosen by the word at 0xc0.
@ Each says 'a' on the UART, works, and says 'z'. Assembled, once, into core_programs.bin:
@   llvm-mc -triple=thumbv6m-none-eabi -filetype=obj core_programs.s -o core_programs.o
@   llvm-objcopy -O binary -j .text core_programs.o core_programs.bin
.syntax unified
.thumb
.cpu cortex-m0

    .word 0x20004000
    .word start + 1
    .rept 22
    .word stuck + 1
    .endr
    .word tick + 1              @ TIMER0
    .rept 23
    .word stuck + 1
    .endr
workload:                       @ 0xc0: alu, memory, mix or wake
    .word 0
rounds:
    .word 0

stuck:
    b stuck

start:
    bl uart_on
    movs r0, #'a'
    bl say
    movs r0, #0xc0
    ldr r4, [r0, #4]
    ldr r0, [r0]
    cmp r0, #0
    beq alu
    cmp r0, #1
    beq memory
    cmp r0, #2
    beq mix
    b wake
done:
    movs r0, #'z'
    bl say
    b stuck

@ 8 instructions a round.
alu:
    adds r0, r0, r1
    eors r2, r0
    lsls r3, r2, #3
    orrs r1, r3
    subs r2, r2, r0
    rors r0, r3
    subs r4, #1
    bne alu
    b done

@ 256 * 6 + 5 instructions a round: copies 1 KiB and adds it up.
memory:
    ldr r5, =0x20000800
    ldr r6, =0x20001000
    movs r1, #0
memory_round:
    movs r3, #255
    lsls r3, r3, #2
    adds r3, #4
copy:
    subs r3, #4
    ldr r0, [r5, r3]
    str r0, [r6, r3]
    adds r1, r1, r0
    cmp r3, #0
    bne copy
    subs r4, #1
    bne memory_round
    b done

@ 5 + 6 + 8 * 8 instructions a round: a call that turns eight bytes over.
mix:
    ldr r5, =0x20000800
mix_round:
    mov r0, r5
    movs r1, #8
    bl turn
    subs r4, #1
    bne mix_round
    b done
turn:
    push {r4, r5, lr}
    movs r3, #0
    movs r5, #0x5a
turn_byte:
    ldrb r2, [r0, r3]
    eors r2, r5
    uxtb r5, r2
    strb r2, [r0, r3]
    adds r5, #1
    adds r3, #1
    cmp r3, r1
    bne turn_byte
    mov r0, r5
    uxtb r0, r0
    pop {r4, r5, pc}

@ TIMER0 every millisecond; `tick` runs 200 instructions.
wake:
    ldr r0, =0x40008000
    movs r1, #0
    str r1, [r0, #4]            @ STOP
    ldr r2, =0x504
    str r1, [r0, r2]            @ MODE: timer
    movs r1, #3
    adds r2, #4
    str r1, [r0, r2]            @ BITMODE: 32
    movs r1, #4
    adds r2, #8
    str r1, [r0, r2]            @ PRESCALER: 1 MHz
    ldr r1, =1000
    adds r2, #0x30
    str r1, [r0, r2]            @ CC[0]
    movs r1, #1
    ldr r2, =0x200
    str r1, [r0, r2]            @ SHORTS: COMPARE0_CLEAR
    lsls r1, r1, #16
    ldr r2, =0x304
    str r1, [r0, r2]            @ INTENSET: COMPARE0
    movs r1, #1
    str r1, [r0, #0xc]          @ CLEAR
    str r1, [r0]                @ START
    lsls r1, r1, #8
    ldr r2, =0xe000e100
    str r1, [r2]                @ ISER: TIMER0
asleep:
    wfi
    cmp r4, #0
    bne asleep
    b done
tick:
    ldr r0, =0x40008140
    movs r1, #0
    str r1, [r0]
    movs r2, #64
tick_work:
    eors r1, r2
    subs r2, #1
    bne tick_work
    subs r4, #1
    bx lr

uart_on:
    ldr r0, =0x40002000
    movs r1, #24
    ldr r2, =0x50c
    str r1, [r0, r2]            @ PSELTXD
    ldr r2, =0x524
    ldr r1, =0x01d7e000
    str r1, [r0, r2]            @ BAUDRATE: 115200
    ldr r2, =0x500
    movs r1, #4
    str r1, [r0, r2]            @ ENABLE
    movs r1, #1
    str r1, [r0, #8]            @ STARTTX
    bx lr
say:
    ldr r2, =0x40002500
    str r0, [r2, #0x1c]         @ TXD
    bx lr
    .ltorg
