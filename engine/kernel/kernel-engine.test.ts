/** A real kernel as a Machine: the contract, exact instruction counts, and what is left after a death. */
import { existsSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { KVM_MEM_READONLY, PROT_READ } from '../abi.ts';
import { MACHINE_CONTRACT } from '../contract/contract.ts';
import { guest, RW, returns, rom } from '../contract/small-guest.ts';
import { VCPU_CHECKS } from '../contract/vcpu-checks.ts';
import { KVM_EXIT_HLT, KVM_EXIT_MMIO } from '../exits.ts';
import { MachineLost } from '../machine.ts';
import { Batch } from './agent/records.ts';
import { SYS } from './agent/syscalls.ts';
import { KernelUnfit, type QemuEngine, startHostEngine, startQemuEngine } from './engine.ts';
import type { KernelMachine } from './kvm/kernel-machine.ts';
import { realKernelOrSay } from './testing.ts';

const BUDGET = 2 ** 21;
const path = realKernelOrSay('real kernels in QEMU');

describe.skipIf(path === undefined)('a kernel in QEMU', () => {
  let engine: QemuEngine;
  const create = () => engine.createMachine({ budget: BUDGET });
  beforeAll(() => {
    engine = startQemuEngine(path ?? '');
  });
  afterAll(() => engine?.stop());

  test.each(MACHINE_CONTRACT.map((c) => [c.name, c] as const))('%s', (_, check) => {
    expect(check.check(create)).toBeUndefined();
  });

  test('warm stores to a read-only slot take the same number of instructions, to a handful, ticks apart', () => {
    const { machine } = guest(create, [...Array.from({ length: 40 }, () => [0x89, 0x07]).flat(), 0xf4]);
    rom(machine, KVM_MEM_READONLY, RW);
    for (let i = 0; i < 40; i++) expect(returns(machine, 0, KVM_EXIT_MMIO)).toBeUndefined();
    expect(returns(machine, 0, KVM_EXIT_HLT)).toBeUndefined();
    const warm = (machine as KernelMachine).runs.slice(8, 40).sort((a, b) => a - b);
    expect(warm[0]).toBeGreaterThan(1000);
    // The quarters, since a tick of the guest kernel's timer belongs to whichever run it falls into.
    expect((warm[24] ?? 0) - (warm[8] ?? 0)).toBeLessThanOrEqual(16);
  });

  test('many megabytes there and back', () => {
    const machine = create();
    const bytes = 9 << 20;
    const backing = machine.createBacking({ kind: 'shm', bytes, fill: 7 });
    machine.mmap({ backing, prot: PROT_READ, shared: true });
    const pattern = Uint8Array.from({ length: bytes }, (_, i) => (i * 31) >> 3);
    expect(machine.peek(backing, bytes - 4, 4)).toEqual(Uint8Array.of(7, 7, 7, 7));
    machine.poke(backing, 0, pattern);
    expect(Buffer.compare(machine.peek(backing, 0, bytes), pattern)).toBe(0);
  });

  test('a kernel that dies is a finding with its last words, and the next machine is fine', () => {
    const { machine } = guest(create, [0xf4]);
    const before = engine.lost;
    const b = new Batch();
    const fd = b.call(SYS.open, [b.text('/proc/sysrq-trigger'), 1], 'opening sysrq-trigger');
    b.call(SYS.write, [fd, b.text('c'), 1]);
    const crash = (): unknown => engine.guest.channel.send(b);
    expect(crash).toThrow(/the kernel died: .*sysrq/i);
    expect(() => machine.run()).toThrow(MachineLost);
    const { machine: next } = guest(create, [0xf4]);
    expect(returns(next, 0, KVM_EXIT_HLT)).toBeUndefined();
    expect(engine.lost).toBe(before + 1);
  });

  test('nothing is left behind', () => {
    const folders = (): string[] => readdirSync(tmpdir()).filter((f) => f.startsWith('faultline-kernel-'));
    const own = startQemuEngine(path ?? '', { icount: false });
    const during = folders();
    own.stop();
    expect(folders().length).toBe(during.length - 2);
  });
});

describe('kernels that cannot be used', () => {
  test('are refused with one line that says why', () => {
    expect(() => startQemuEngine('/nowhere/at/all')).toThrow(KernelUnfit);
    expect(() => startQemuEngine(import.meta.dirname)).toThrow(/no boot\/vmlinuz-\* and no bzImage/);
    expect(() => startQemuEngine(import.meta.filename)).toThrow(/not a bzImage/);
  });

  test.skipIf(existsSync('/dev/kvm'))('so is a host without /dev/kvm', () => {
    expect(() => startHostEngine()).toThrow(/this host: there is no \/dev\/kvm \(load kvm_amd or kvm_intel/);
  });

  // What memory does there is for that host's kernel to say: a KVM that emulates guests in protected mode lets a store
  // to a PROT_READ mapping leave as MMIO, for one.
  test.skipIf(!existsSync('/dev/kvm'))("this host's own kernel runs a vCPU as the contract says", () => {
    const engine = startHostEngine();
    try {
      for (const c of VCPU_CHECKS)
        expect(
          c.check(() => engine.createMachine({ budget: BUDGET })),
          c.name,
        ).toBeUndefined();
    } finally {
      engine.stop();
    }
  });
});
