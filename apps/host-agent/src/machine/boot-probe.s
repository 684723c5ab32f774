# A disk of one sector that tells whether guests run here: 64-bit mode with paging, memory moved, and interrupts of a timer.
    .code16
    .org 0
    cli
    cld
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movw $0x7c00, %sp
    # Page tables at 0x1000: the first GiB as it is, in pages of 2 MiB.
    movl $0x1000, %edi
    xorl %eax, %eax
    movl $0xc00, %ecx
    rep stosl
    movl $0x2003, 0x1000
    movl $0x3003, 0x2000
    movl $0x3000, %edi
    movl $0x83, %eax
    movw $512, %cx
1:  movl %eax, (%edi)
    addl $0x200000, %eax
    addl $8, %edi
    loop 1b
    # Timer interrupts come as 0x20.
    movb $0x11, %al
    outb %al, $0x20
    movb $0x20, %al
    outb %al, $0x21
    movb $0x04, %al
    outb %al, $0x21
    movb $0x01, %al
    outb %al, $0x21
    movb $0xfe, %al
    outb %al, $0x21
    movb $0x34, %al
    outb %al, $0x43
    movb $0x00, %al
    outb %al, $0x40
    movb $0x10, %al
    outb %al, $0x40
    # 64-bit mode (AMD64 APM 2, 14.6).
    movl $0x20, %eax
    movl %eax, %cr4
    movl $0x1000, %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx
    rdmsr
    orl $0x100, %eax
    wrmsr
    lgdt gdtr
    movl %cr0, %eax
    orl $0x80000001, %eax
    movl %eax, %cr0
    ljmp $8, $long
    .code64
long:
    movw $16, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    # The gate of 0x20, in a table at 0x8000.
    movl $0x8200, %edi
    movl $tick, %eax
    movw %ax, (%rdi)
    movl $0x8e000008, 2(%rdi)
    movl $0, 6(%rdi)
    movl $0, 10(%rdi)
    lidt idtr
    xorl %ebx, %ebx
    sti
2:  movl $0x100000, %esi
    movl $0x200000, %edi
    movl $0x20000, %ecx
    rep movsq
    xorl %eax, %eax
    pushq %rbx
    cpuid
    popq %rbx
    cmpl $10, %ebx
    jb 2b
    movb $0x2a, %al
    movw $0x501, %dx
    outb %al, %dx
3:  hlt
    jmp 3b
tick:
    incl %ebx
    pushq %rax
    movb $0x20, %al
    outb %al, $0x20
    popq %rax
    iretq
    .balign 8
gdt:
    .quad 0
    .quad 0x00209a0000000000
    .quad 0x0000920000000000
gdtr:
    .word 23
    .long gdt
idtr:
    .word 0x20f
    .quad 0x8000
    .org 510
    .word 0xaa55
