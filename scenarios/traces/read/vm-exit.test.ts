/** What belongs to one VM exit, whatever the tracer was asked for. */
import { expect, test } from 'vitest';
import { loadText } from '../../data/recordings.ts';
import { read } from './testing.ts';
import { ExitBuilder, type VmExit } from './vm-exit.ts';

const at = (thread: number, time: number): string => ` qemu-${thread} [000] d..2 ${time.toFixed(6)}: `;

/** The exits of a trace, what else happened between them by line, and the builder. */
function build(lines: readonly string[]): { exits: VmExit[]; order: string[]; builder: ExitBuilder } {
  const exits: VmExit[] = [];
  const order: string[] = [];
  const builder = new ExitBuilder({
    onExit: (exit) => {
      exits.push(exit);
      order.push(`exit ${exit.line}`);
    },
    onSlotCall: (_, line) => order.push(`slot ${line}`),
    onZap: (line) => order.push(`zap ${line}`),
  });
  for (const event of read(lines).events) builder.event(event);
  builder.end();
  return { exits, order, builder };
}

test('a refused store on Intel: exit, fault, emulation, MMIO, userspace, entry', () => {
  const { exits } = build([
    `${at(101, 1)}kvm_exit: vcpu 0 reason EPT_VIOLATION rip 0x1000 info1 0x1aa info2 0x0 intr_info 0x0 error_code 0x0`,
    `${at(101, 1.1)}kvm_page_fault: vcpu 0 rip 0x1000 address 0xf0000 error_code 0x1aa`,
    `${at(101, 1.2)}kvm_emulate_insn: 0:1000:89 07 (prot64)`,
    `${at(101, 1.3)}kvm_mmio: mmio write len 4 gpa 0xf0000 val 0x11223344`,
    `${at(101, 1.4)}kvm_userspace_exit: reason KVM_EXIT_MMIO (6)`,
    `${at(101, 1.5)}kvm_entry: vcpu 0, rip 0x1002`,
    `${at(101, 1.6)}kvm_exit: vcpu 0 reason HLT rip 0x1002 info1 0x0 info2 0x0 intr_info 0x0 error_code 0x0`,
  ]);
  expect(exits).toHaveLength(2);
  expect(exits[0]).toMatchObject({
    line: 1,
    reason: 'EPT_VIOLATION',
    fault: { address: 'f0000', code: 0x1aa },
    insn: { bytes: '89 07' },
    mmio: [{ kind: 'write', len: 4, gpa: 0xf0000, val: '11223344' }],
    userspace: { reason: 'KVM_EXIT_MMIO', number: 6, time: 1.4 },
    entered: 1.5,
  });
});

test('faults alone are exits too, each its own', () => {
  const { exits } = build([
    `${at(101, 1)}kvm_page_fault: address 1000 error_code 4`,
    `${at(101, 2)}kvm_page_fault: address 2000 error_code 6`,
  ]);
  expect(exits.map((e) => [e.line, e.reason, e.fault?.address])).toEqual([
    [1, '', '1000'],
    [2, '', '2000'],
  ]);
});

test('a slot call comes after the exit it was made in, and before the next', () => {
  const { order } = build([
    `${at(101, 1)}kvm_exit: reason io rip 0x1000 info cfc0040 0`,
    `${at(101, 1.1)}kvm_userspace_exit: reason KVM_EXIT_IO (2)`,
    `${at(100, 1.2)}tracing_mark_write: kvm_set_user_memory Slot#0 flags=0x0 gpa=0x0 size=0x0 ua=0x0 ret=0`,
    `${at(100, 1.3)}kvm_mmu_zap_all_fast: kvm-mmu-valid-gen 1 used_pages 1`,
    `${at(101, 1.4)}kvm_exit: reason npf rip 0x1000 info 14 1000`,
  ]);
  expect(order).toEqual(['exit 1', 'slot 3', 'zap 4', 'exit 5']);
});

test('vCPUs are told by their number, or by their thread; one number in two threads is two VMs', () => {
  const old = build([
    `${at(101, 1)}kvm_exit: reason hlt rip 0x1 info 0 0`,
    `${at(102, 2)}kvm_exit: reason hlt rip 0x2 info 0 0`,
  ]);
  expect(old.exits.map((e) => e.vcpu)).toEqual([0, 1]);
  expect(old.builder.mixedVms.size).toBe(0);
  const two = build([
    `${at(101, 1)}kvm_entry: vcpu 0, rip 0x1`,
    `${at(202, 2)}kvm_entry: vcpu 0, rip 0x2`,
    `${at(303, 3)}kvm_entry: vcpu 1, rip 0x3`,
  ]);
  expect([...two.builder.mixedVms.keys()]).toEqual([0]);
});

test('a string instruction makes thousands of MMIO events: they are counted, and the first are kept', () => {
  const { exits } = build([
    `${at(101, 1)}kvm_exit: reason npf rip 0x1 info 6 b8000`,
    ...Array.from(
      { length: 2048 },
      (_, i) => `${at(101, 1)}kvm_mmio: mmio write len 2 gpa 0x${(0xb8000 + 2 * i).toString(16)} val 0x720`,
    ),
  ]);
  expect(exits).toHaveLength(1);
  expect(exits[0]?.mmioCount).toBe(2048);
  expect(exits[0]?.mmio.length).toBeLessThanOrEqual(64);
});

test('a real boot: every exit, fault and MMIO event of it belongs to one exit', () => {
  const { exits } = build(loadText('seabios-boot.ftrace.gz').trimEnd().split('\n'));
  expect(exits.filter((e) => e.reason !== '')).toHaveLength(10_702);
  expect(exits.filter((e) => e.fault !== undefined)).toHaveLength(1_341);
  expect(exits.reduce((sum, e) => sum + e.mmioCount, 0)).toBe(21_259);
});
