import { describe, expect, it } from 'vitest';
import { EFAULT, EINTR, KVM_MEM_LOG_DIRTY_PAGES, KVM_MEM_READONLY } from '../abi.ts';
import {
  KVM_EXIT_HLT,
  KVM_EXIT_INTERNAL_ERROR,
  KVM_EXIT_IO,
  KVM_EXIT_MMIO,
  KVM_EXIT_SHUTDOWN,
} from '../exits.ts';
import { base, type Patch } from '../policy.ts';
import { type CoreMachine, createCoreMachine } from './core-machine.ts';

/** The merged series in one patch. */
const MERGED: readonly Patch[] = [
  {
    name: 'merged',
    subject: 'as in 3.7',
    source: 'test',
    apply: () => ({
      gfnToHva: (f) => (!f.slot ? 1 : f.slotReadonly && f.write ? 2 : 0),
      gupFailed: (f, nowait) => (nowait && f.vmRead && (!f.write || f.vmWrite) ? 3 : 2),
      handleBadPage: (_f, pfn) => (pfn === 4 ? 1 : 0),
      reexecuteInstruction: (_f, pfn) => pfn === 0,
    }),
  },
];

const ROM = 0x20000;

interface Setup {
  readonly code: readonly number[];
  readonly flags?: number;
  readonly prot?: number;
  readonly series?: readonly Patch[];
  readonly kind?: 'shm' | 'file' | 'anon';
  readonly budget?: number;
  readonly irqchip?: boolean;
}

/** 64 KiB of RAM at 0 with the code at 0x1000, and a ROM of four pages at 0x20000. */
function boot(s: Setup): { m: CoreMachine; rom: number; romHva: number } {
  const m = createCoreMachine({
    series: s.series ?? MERGED,
    budget: s.budget ?? 2 ** 20,
    irqchip: s.irqchip ?? false,
  });
  const ram = m.createBacking({ kind: 'shm', bytes: 0x10000 });
  const rom = m.createBacking({ kind: s.kind ?? 'shm', bytes: 0x4000, fill: 0x90 });
  const ramHva = m.mmap({ backing: ram, prot: 3, shared: true });
  const romHva = m.mmap({ backing: rom, prot: s.prot ?? 3, shared: true });
  m.setUserMemoryRegion({ slot: 0, flags: 0, guestPhysAddr: 0, memorySize: 0x10000, userspaceAddr: ramHva });
  m.setUserMemoryRegion({
    slot: 1,
    flags: s.flags ?? KVM_MEM_READONLY,
    guestPhysAddr: ROM,
    memorySize: 0x4000,
    userspaceAddr: romHva,
  });
  m.poke(ram, 0x1000, Uint8Array.from(s.code));
  m.setupVcpu({ mode: 'prot32', regs: { rip: 0x1000, rax: 0x5a, rsp: 0x8000, rdi: ROM, rsi: ROM } });
  return { m, rom, romHva };
}

const STORE = [0x88, 0x07]; // mov [edi], al
const LOAD = [0x8a, 0x1e]; // mov bl, [esi]
const HLT = [0xf4];
const OUT = [0xe6, 0x80]; // out 0x80, al

describe('KVM_RUN', () => {
  it('a store to a read-only slot: one MMIO exit with rip behind it, bytes unchanged, and the guest goes on', () => {
    const { m, rom } = boot({ code: [...STORE, ...LOAD, ...HLT] });
    expect(m.run()).toBe(0);
    expect(m.exit).toMatchObject({ reason: KVM_EXIT_MMIO, physAddr: ROM, len: 1, isWrite: true });
    expect(m.exit.data[0]).toBe(0x5a);
    expect(m.getRegs().rip).toBe(0x1002n);
    expect(m.run()).toBe(0);
    expect(m.exit.reason).toBe(KVM_EXIT_HLT);
    expect(m.getRegs().gpr[3]).toBe(0x90n);
    expect(m.peek(rom, 0, 1)[0]).toBe(0x90);
  });

  it('a store to read-only host memory in a plain slot: -EFAULT, rip at the instruction, again and again', () => {
    const { m } = boot({ code: [...STORE, ...HLT], flags: 0, prot: 1 });
    expect(m.run()).toBe(-EFAULT);
    expect(m.getRegs().rip).toBe(0x1000n);
    expect(m.run()).toBe(-EFAULT);
    m.setRip(0x1002);
    expect(m.run()).toBe(0);
    expect(m.exit.reason).toBe(KVM_EXIT_HLT);
  });

  it('a load from a hole: the VMM answers, the guest has it', () => {
    const { m } = boot({ code: [0x8b, 0x1d, 0, 0, 5, 0, ...HLT] });
    expect(m.run()).toBe(0);
    expect(m.exit).toMatchObject({ reason: KVM_EXIT_MMIO, physAddr: 0x50000, len: 4, isWrite: false });
    expect(m.getRegs().rip).toBe(0x1000n);
    m.exit.data.set([1, 2, 3, 4]);
    m.run();
    expect(m.getRegs().gpr[3]).toBe(0x04030201n);
  });

  it('a port: rip at the instruction until it is answered', () => {
    const { m } = boot({ code: [...OUT, 0xe4, 0x81, ...HLT] });
    m.run();
    expect(m.exit).toMatchObject({ reason: KVM_EXIT_IO, port: 0x80, isWrite: true, len: 1 });
    expect(m.getRegs().rip).toBe(0x1000n);
    m.run();
    expect(m.exit).toMatchObject({ reason: KVM_EXIT_IO, port: 0x81, isWrite: false });
    m.exit.data[0] = 0x77;
    m.run();
    expect(m.getRegs().gpr[0]).toBe(0x77n);
  });

  it('fst to a ROM cannot be emulated: INTERNAL_ERROR, and entering again gives the guest its #UD', () => {
    const { m } = boot({ code: [0xd9, 0x17, ...HLT] });
    expect(m.run()).toBe(0);
    expect(m.exit).toMatchObject({ reason: KVM_EXIT_INTERNAL_ERROR, suberror: 1 });
    m.run();
    expect(m.exit.reason).toBe(KVM_EXIT_SHUTDOWN);
  });

  it('a guest that goes nowhere is a result, not a hang: jmp $, and sgdt to a ROM', () => {
    const spin = boot({ code: [0xeb, 0xfe], budget: 2 ** 16 });
    expect(spin.m.run()).toBe(-EINTR);
    const sgdt = boot({ code: [0x0f, 0x01, 0x07, ...HLT] });
    expect(sgdt.m.run()).toBe(-EINTR);
    expect(sgdt.m.getRegs().rip).toBe(0x1000n);
  });

  it('an invalidated page faults again, and is what the host says it is then', () => {
    const { m, romHva } = boot({ code: [...STORE, ...OUT, ...STORE, ...HLT], flags: 0 });
    m.run();
    expect(m.exit.reason).toBe(KVM_EXIT_IO);
    m.mprotect(romHva, 0x4000, 1);
    expect(m.run()).toBe(-EFAULT);
    m.mprotect(romHva, 0x4000, 3);
    expect(m.run()).toBe(0);
    expect(m.exit.reason).toBe(KVM_EXIT_HLT);
  });

  it('logs each page written, once the log was taken again too', () => {
    const { m } = boot({ code: [...STORE, ...OUT, ...STORE, ...HLT], flags: KVM_MEM_LOG_DIRTY_PAGES });
    m.run();
    expect([...m.getDirtyLog(1).bitmap]).toEqual([1]);
    expect([...m.getDirtyLog(1).bitmap]).toEqual([0]);
    m.run();
    expect([...m.getDirtyLog(1).bitmap]).toEqual([1]);
  });

  it('code the VMM changes through its alias is the code that runs', () => {
    const { m, rom } = boot({ code: [...OUT, 0xff, 0xe7] });
    m.poke(rom, 0, Uint8Array.from([0xb0, 0x11, ...OUT, 0xff, 0xe7]));
    m.run();
    m.run();
    expect(m.getRegs().gpr[0]).toBe(0x11n);
    m.poke(rom, 1, Uint8Array.from([0x22]));
    m.run();
    expect(m.getRegs().gpr[0]).toBe(0x22n);
  });
});

describe('asynchronous page faults', () => {
  const cold = (setup: Omit<Setup, 'code'>, code: readonly number[]): CoreMachine => {
    // With an APIC in the kernel HLT does not leave.
    const { m, rom } = boot({ kind: 'file', flags: 0, prot: 1, ...setup, code: [...code, ...LOAD, ...OUT] });
    m.dropPageCache(rom);
    return m;
  };
  const STI_NOP = [0xfb, 0x90];

  it('need an APIC in the kernel and interrupts on; otherwise KVM waits itself', () => {
    const cases: readonly [boolean, readonly number[], number][] = [
      [false, STI_NOP, 0],
      [true, [], 0],
      [true, STI_NOP, 1],
    ];
    for (const [irqchip, code, faults] of cases) {
      const m = cold({ irqchip }, code);
      expect(m.run()).toBe(0);
      expect(m.exit.reason).toBe(KVM_EXIT_IO);
      expect(m.getRegs().gpr[3]).toBe(0x90n);
      expect(m.observe().faults.async).toBe(faults);
    }
  });

  it('are refused for a read-only slot: the hva is asked for again, for write', () => {
    const m = cold({ irqchip: true, flags: KVM_MEM_READONLY }, STI_NOP);
    expect(m.run()).toBe(0);
    expect(m.observe().faults.async).toBe(0);
  });

  it('before the series a cold read-only mapping kills the VM, APIC or not', () => {
    for (const irqchip of [false, true]) expect(cold({ irqchip, series: [] }, STI_NOP).run()).toBe(-EFAULT);
  });
});

describe('what a change of the host or of the slots leaves', () => {
  const CACHED: readonly Patch[] = [
    ...MERGED,
    { name: 'cached', subject: 'v3', source: 'test', apply: () => ({ handleBadPage: () => 2 }) },
  ];
  const CODE = [...STORE, ...OUT, ...LOAD, ...HLT];
  const kinds = (m: CoreMachine, onPort: () => void): string[] => {
    const seen: string[] = [];
    for (let n = 0; n < 8; n++) {
      expect(m.run()).toBe(0);
      if (m.exit.reason === KVM_EXIT_MMIO) seen.push(m.exit.isWrite ? 'W' : 'R');
      if (m.exit.reason === KVM_EXIT_IO) onPort();
      if (m.exit.reason === KVM_EXIT_HLT) break;
    }
    return seen;
  };

  it('a store remembered as MMIO takes the loads with it that were plain before', () => {
    const { m } = boot({ code: [...LOAD, ...LOAD, ...STORE, ...LOAD, ...HLT], series: CACHED });
    expect(kinds(m, () => {})).toEqual(['W', 'R']);
    const plain = boot({ code: [...LOAD, ...LOAD, ...STORE, ...LOAD, ...HLT] });
    expect(kinds(plain.m, () => {})).toEqual(['W']);
  });

  it('an MMIO entry outlives the notifier, for it maps no host page', () => {
    const { m, romHva } = boot({ code: CODE, series: CACHED });
    expect(kinds(m, () => m.madviseDontneed(romHva, 0x4000))).toEqual(['W', 'R']);
  });

  it('an MMIO entry does not outlive a change of the slots, be it only a flag', () => {
    const { m, romHva } = boot({ code: CODE, series: CACHED });
    const region = { slot: 1, flags: KVM_MEM_READONLY | KVM_MEM_LOG_DIRTY_PAGES, guestPhysAddr: ROM };
    const log = () => m.setUserMemoryRegion({ ...region, memorySize: 0x4000, userspaceAddr: romHva });
    expect(kinds(m, log)).toEqual(['W']);
  });

  it('mprotect() back to writable gives shared memory its write access back without a fault', () => {
    const { m, romHva } = boot({ code: [...LOAD, ...OUT, ...LOAD, ...HLT], flags: 0 });
    m.run();
    m.mprotect(romHva, 0x4000, 1);
    m.mprotect(romHva, 0x4000, 3);
    const region = { slot: 1, flags: KVM_MEM_LOG_DIRTY_PAGES, guestPhysAddr: ROM, memorySize: 0x4000 };
    m.setUserMemoryRegion({ ...region, userspaceAddr: romHva });
    m.run();
    // The read maps the page writable, and KVM logs what it maps writable.
    expect([...m.getDirtyLog(1).bitmap]).toEqual([1]);
  });
});

describe('what a machine tells', () => {
  it('counts what happened, and the same run has the same digest', () => {
    const twice = [0, 1].map(() => {
      const { m } = boot({ code: [...LOAD, ...STORE, ...STORE, ...HLT] });
      while (m.run() === 0 && m.exit.reason !== KVM_EXIT_HLT);
      return m.observe();
    });
    expect(twice[0]).toEqual(twice[1]);
    expect(twice[0]!.faults).toMatchObject({ fixed: 2, emulate: 2, error: 0 });
    expect(twice[0]!.decisions.handleBadPage).toBe(2);
    const other = boot({ code: [...LOAD, ...STORE, ...HLT] });
    while (other.m.run() === 0 && other.m.exit.reason !== KVM_EXIT_HLT);
    expect(other.m.observe().digest).not.toBe(twice[0]!.digest);
  });

  it('tells the life of the first faults, and which patch decided', () => {
    const { m } = boot({ code: [...STORE, ...HLT] });
    m.run();
    const [fetch, store] = m.life(8);
    expect(fetch).toMatchObject({ access: 'fetch', gpa: '1000' });
    expect(store).toMatchObject({ access: 'write', gpa: '20000', rip: '1000', instruction: 'mov [edi],al' });
    expect(store!.steps.find((s) => s.decision === 'gfnToHva')?.patch).toBe('merged');
    expect(store!.steps.at(-1)).toMatchObject({ at: 'KVM_RUN', says: 'KVM_EXIT_MMIO: write of 1 at 20000' });
  });

  it('names a patch only where it changed the answer to the question that was put', () => {
    // Host memory that may not be written, in a plain slot: gup says KVM_PFN_ERR_FAULT, which this series leaves alone.
    const { m } = boot({ code: [...STORE, ...HLT], flags: 0, prot: 1 });
    expect(m.run()).toBe(-EFAULT);
    const decided = m
      .life(8)
      .at(-1)!
      .steps.filter((s) => s.decision !== undefined);
    expect(decided.map((s) => [s.decision, s.patch])).toEqual([
      ['gfnToHva', undefined],
      ['gupFailed', undefined],
      ['handleBadPage', undefined],
    ]);
  });

  it('says what it left out of a life, and how many faults that was', () => {
    // fst dword [edi]: with the rule of 3.5 the guest is entered again for ever.
    const looping = [
      { ...MERGED[0]!, apply: () => ({ ...MERGED[0]!.apply(base), reexecuteInstruction: () => true }) },
    ];
    const { m } = boot({ code: [0xd9, 0x17, ...HLT], series: looping });
    expect(m.run()).toBe(-EINTR);
    const loop = m.life(8).at(-1)!;
    expect(loop.faults).toEqual({ emulate: m.observe().faults.emulate });
    expect(loop.steps.length + loop.untold!).toBeGreaterThan(loop.faults.emulate! * 3);
  });
});
