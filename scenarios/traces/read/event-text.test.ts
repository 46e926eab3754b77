/** The texts of events, as kernels from 3.7 to 6.18 and trace-cmd print them on Intel and AMD, and as QEMU's log does. */
import { describe, expect, test } from 'vitest';
import { one, read } from './testing.ts';

describe('the text of an event', () => {
  const at = ' qemu-101 [000] ..... 9.389335: ';

  test.each<[string, string, Record<string, unknown>]>([
    [
      'kvm_exit of 3.7',
      'kvm_exit: reason npf rip 0xfff0 info 100000014 fffffff0',
      { reason: 'npf', vcpu: undefined, info1: '100000014', info2: 'fffffff0' },
    ],
    [
      'kvm_exit of 5.9',
      'kvm_exit: vcpu 3 reason EPT_VIOLATION rip 0xfff0 info 181 0',
      { reason: 'EPT_VIOLATION', vcpu: 3, info1: '181' },
    ],
    [
      'kvm_exit of 6.1',
      'kvm_exit: vcpu 0 reason npf rip 0xfff0 info1 0x0000000100000014 info2 0x00000000fffffff0 intr_info 0x00000000 error_code 0x00000000',
      { vcpu: 0, info1: '100000014', info2: 'fffffff0' },
    ],
    [
      'kvm_exit of 6.18',
      'kvm_exit: vcpu 0 reason EPT_MISCONFIG rip 0xffffffff81000000 info1 0x0000000000000000 info2 0x0000000000000000 intr_info 0x00000000 error_code 0x00000000 requests 0x0000000000000000',
      { reason: 'EPT_MISCONFIG', rip: 'ffffffff81000000' },
    ],
    [
      'kvm_exit of trace-cmd on AMD',
      'kvm_exit: reason EXIT_NPF rip 0xfff0 info 100000014 fffffff0 vcpu 2',
      { reason: 'EXIT_NPF', vcpu: 2 },
    ],
    [
      'a failed VM entry on Intel',
      'kvm_exit: vcpu 0 reason EXCEPTION_NMI FAILED_VMENTRY rip 0x10 info1 0x0 info2 0x0 intr_info 0x0 error_code 0x0',
      { reason: 'EXCEPTION_NMI FAILED_VMENTRY' },
    ],
    ['a reason nobody knows', 'kvm_exit: reason UNKNOWN (77) rip 0x10 info 0 0', { reason: 'UNKNOWN (77)' }],
    ['kvm_entry of 3.7', 'kvm_entry: vcpu 1', { event: 'kvm_entry', vcpu: 1, rip: undefined }],
    ['kvm_entry of 6.1', 'kvm_entry: vcpu 1, rip 0x1000', { vcpu: 1, rip: '1000' }],
    [
      'kvm_entry of 6.18',
      'kvm_entry: vcpu 1, rip 0x1000 intr_info 0x00000000 error_code 0x00000000 [immediate exit]',
      { rip: '1000' },
    ],
    [
      'kvm_page_fault of 3.7',
      'kvm_page_fault: address fee00000 error_code 6',
      { address: 'fee00000', code: 6, vcpu: undefined },
    ],
    [
      'kvm_page_fault of 6.1',
      'kvm_page_fault: vcpu 0 rip 0xfff0 address 0x00000000fffffff0 error_code 0x100000014',
      { address: 'fffffff0', code: 0x1_0000_0014, rip: 'fff0' },
    ],
    [
      'kvm_mmio',
      'kvm_mmio: mmio unsatisfied-read len 4 gpa 0xfee00030 val 0x0',
      { kind: 'unsatisfied-read', len: 4, gpa: 0xfee00030, val: '0' },
    ],
    ['kvm_pio of 3.7', 'kvm_pio: pio_write at 0x70 size 1 count 1', { port: 0x70, val: undefined }],
    [
      'kvm_pio of 6.1',
      'kvm_pio: pio_read at 0x1f0 size 2 count 256 val 0x0 (...)',
      { kind: 'read', count: 256, val: '0' },
    ],
    [
      'kvm_emulate_insn',
      'kvm_emulate_insn: 0:1000:89 07 (prot64)',
      { insn: '89 07', mode: 'prot64', failed: false },
    ],
    [
      'kvm_emulate_insn that failed',
      'kvm_emulate_insn: f0000:e05b:c5 fe (real) failed',
      { csbase: 'f0000', failed: true },
    ],
    [
      'kvm_emulate_insn of trace-cmd',
      'kvm_emulate_insn: 0:1000: f3 a5 FAIL',
      { insn: 'f3 a5', mode: undefined, failed: true },
    ],
    [
      'kvm_emulate_insn of trace-cmd with a disassembler',
      'kvm_emulate_insn: 0:1000: mov %eax, (%rdi)',
      { insn: 'mov %eax, (%rdi)' },
    ],
    [
      'kvm_userspace_exit',
      'kvm_userspace_exit: reason KVM_EXIT_MMIO (6)',
      { reason: 'KVM_EXIT_MMIO', number: 6 },
    ],
    ['an exit with an errno', 'kvm_userspace_exit: reason error (14)', { reason: 'error', number: 14 }],
    [
      'a newer exit than the kernel knows',
      'kvm_userspace_exit: reason 0x27 (39)',
      { reason: '0x27', number: 39 },
    ],
    [
      'kvm_mmu_zap_all_fast',
      'kvm_mmu_zap_all_fast: kvm-mmu-valid-gen 1 used_pages 12',
      { event: 'kvm_mmu_zap_all_fast' },
    ],
    [
      "QEMU's ftrace backend",
      'tracing_mark_write: kvm_set_user_memory Slot#65537 flags=0x2 gpa=0xc0000 size=0x20000 ua=0x7f291de00000 ret=0',
      {
        event: 'kvm_set_user_memory',
        call: {
          addressSpace: 1,
          slot: 1,
          flags: 2,
          gpa: 0xc0000,
          size: 0x20000,
          ua: 0x7f29_1de0_0000,
          ret: 0,
        },
      },
    ],
  ])('%s', (_, text, fields) => {
    expect(one(at + text)).toMatchObject({ time: 9.389335, thread: 101, ...fields });
  });

  test.each([
    'kvm_exit: reason npf rip here info 0 0',
    'kvm_exit: vcpu 0 rip 0x10',
    'kvm_exit: vcpu 0 reason npf rip 0x10 info1 0x0 info2 0x0 and more',
    'kvm_page_fault: address 0x10',
    'kvm_page_fault: address 0x10 error_code 0x6 0x7',
    'kvm_mmio: mmio scribble len 4 gpa 0x0 val 0x0',
    'kvm_mmio: mmio write len four gpa 0x0 val 0x0',
    'kvm_userspace_exit: reason KVM_EXIT_MMIO',
    'kvm_emulate_insn: 0:1000:mov (prot64)',
    'kvm_entry: vcpu x',
    'kvm_exit: [FAILED TO PARSE] exit_reason=1024 guest_rip=0xfff0',
    'tracing_mark_write: kvm_set_user_memory Slot#1 flags=0x2',
  ])('not understood, and told with its number: %s', (text) => {
    const { events, summary } = read(['# a head', at + text]);
    expect(events).toEqual([]);
    expect(summary).toMatchObject({ malformed: 1, remarks: 1 });
    expect(summary.malformedLines[0]).toMatchObject({ line: 2, event: text.split(':', 1)[0] });
  });
});

describe("QEMU's log", () => {
  const call = { addressSpace: 0, slot: 3, flags: 2, gpa: 0xe0000, size: 0x20000, ua: 0x7f00_0000, ret: -22 };

  test.each([
    ['up to 8.1', 'kvm_set_user_memory Slot#3 flags=0x2 gpa=0xe0000 size=0x20000 ua=0x7f000000 ret=-22'],
    [
      'from 8.2',
      'kvm_set_user_memory AddrSpace#0 Slot#3 flags=0x2 gpa=0xe0000 size=0x20000 ua=0x7f000000 ret=-22',
    ],
    [
      'from 9.0',
      'kvm_set_user_memory AddrSpace#0 Slot#3 flags=0x2 gpa=0xe0000 size=0x20000 ua=0x7f000000 guest_memfd=-1 guest_memfd_offset=0x0 ret=-22',
    ],
    [
      'with times',
      '4711@1700000000.125000:kvm_set_user_memory Slot#3 flags=0x2 gpa=0xe0000 size=0x20000 ua=0x7f000000 ret=-22',
    ],
  ])('slot calls %s', (_, line) => {
    expect(one(line)).toMatchObject({ event: 'kvm_set_user_memory', call });
  });

  test.each([
    [
      'pflash_io_write system.flash1: offset:0x0010 size:1 value:0x0050 wcycle:0',
      { write: true, device: 'system.flash1', offset: 0x10, value: 0x50 },
    ],
    [
      'pflash_io_read system.flash1: offset:0x0010 size:1 value:0x0080 cmd:0x70 wcycle:0',
      { write: false, value: 0x80 },
    ],
    [
      'pflash_write offset:0x0064, size:1 value:0x0010 wcycle:0',
      { write: true, device: 'pflash', offset: 0x64 },
    ],
  ])('%s', (line, access) => {
    expect(one(line)).toMatchObject({ event: 'pflash_io', access });
  });

  test('what the flash made of it is another event, not a line not understood', () => {
    expect(read(['pflash_mode_read_array system.flash1: read array mode']).summary).toMatchObject({
      malformed: 0,
      others: { pflash_mode_read_array: 1 },
    });
  });
});
