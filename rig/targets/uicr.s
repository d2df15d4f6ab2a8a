@ The flash algorithm for the nRF51's UICR (user information configuration registers), in the
@ interface that CMSIS flash algorithms have and probe-rs calls: arguments in r0-r2, result in r0,
@ zero for success. Position-independent, without data of its own.
@
@ `nrf51822.yaml` carries it assembled, in base64, with the offsets of its entry points plus one:
@     llvm-mc --triple=thumbv6m-none-eabi --filetype=obj uicr.s -o uicr.o
@     llvm-objcopy -O binary -j .text uicr.o uicr.bin && base64 -w0 uicr.bin
@     llvm-nm uicr.o
@ The test `the_uicr_algorithm_is_what_its_source_says` compares them where llvm-mc is installed.

    .syntax unified
    .thumb
    .text

@ nRF51 Series Reference Manual 3.0, chapter 6, NVMC: READY 0x400, CONFIG 0x504 (0 read, 1 write,
@ 2 erase), ERASEALL 0x50C, ERASEUICR 0x514.

    .global init
    .thumb_func
init:                           @ (address, clock, operation)
    movs r0, #0
    bx   lr

    .global uninit
    .thumb_func
uninit:                         @ (operation)
    movs r0, #0
    movs r1, #0
    b    configure              @ read only again

    .global erase_sector
    .thumb_func
erase_sector:                   @ (address): the UICR has one
    mov  r3, lr
    movs r1, #2
    bl   configure
    ldr  r2, nvmc_erase_uicr
    movs r1, #1
    str  r1, [r2]
    bl   wait_ready
    movs r1, #0
    bl   configure
    movs r0, #0
    bx   r3

    .global program_page
    .thumb_func
program_page:                   @ (address, size in bytes, data)
    push {r4, r5, lr}
    mov  r4, r1
    mov  r5, r2
    movs r1, #1
    bl   configure
1:  cmp  r4, #0
    beq  3f
    ldr  r1, [r5]
    adds r2, r1, #1             @ an erased word is left alone: a UICR word may be
    beq  2f                     @ written only once or twice between erases
    str  r1, [r0]
    bl   wait_ready
2:  adds r0, #4
    adds r5, #4
    subs r4, #4
    b    1b
3:  movs r1, #0
    bl   configure
    movs r0, #0
    pop  {r4, r5, pc}

configure:                      @ r1 to CONFIG; changes r2
    ldr  r2, nvmc_config
    str  r1, [r2]
    @ falls through

wait_ready:                     @ changes r1 and r2
    ldr  r2, nvmc_ready
4:  ldr  r1, [r2]
    lsrs r1, r1, #1
    bcc  4b
    bx   lr

    .p2align 2
nvmc_ready:      .word 0x4001E400
nvmc_config:     .word 0x4001E504
nvmc_erase_uicr: .word 0x4001E514
