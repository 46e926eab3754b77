/**
 * Probes: what a recorder ran on a real kernel to learn what single steps cost, run again on a machine of ours
 * to learn which steps those were. `costs.json` says of each probe what it was.
 */
import { PAGE_SIZE } from '../../engine/abi.ts';
import { assert } from '../../engine/assert.ts';
import { KVM_EXIT_HLT, KVM_EXIT_INTERNAL_ERROR } from '../../engine/exits.ts';
import { fromHex } from '../../engine/hex.ts';
import type { Machine } from '../../engine/machine.ts';
import type { StepCounts } from '../../engine/observation.ts';
import { type OnExit, runVcpu } from '../../engine/vmm/loop.ts';
import { RAM_MEMORY, Slot } from '../../engine/vmm/slot.ts';
import { recordedMemory } from '../conform/conform-case.ts';

/** Slot 1 of a probe, and the host memory behind it. */
export interface ProbeRom {
  /** KVM_MEM_*. */
  readonly flags: number;
  /** As in the recorded cases: a memfd, anonymous memory, a private mapping of a memfd, a file on a disk. */
  readonly type: 'shm' | 'anon' | 'priv' | 'file';
  readonly prot: 'r' | 'rw';
  readonly pages: number;
  /** `resident`: mapped in the VMM; `unmapped`: in memory, not mapped; `cold`: on the disk. */
  readonly host: 'resident' | 'unmapped' | 'cold';
}

/** A slot call that a probe makes. */
export const PROBE_ACTS = ['create', 'delete'] as const;
export type ProbeAct = (typeof PROBE_ACTS)[number];

/** The probes that need no KVM: reading the time stamp twice, and a system call that does nothing. */
export const HOST_PROBES: Readonly<Record<string, StepCounts>> = { 'tsc-read': {}, syscall: { syscall: 1 } };

/** What a probe ran. */
export type Probe =
  | { readonly kind: 'host' }
  /** The same exit over and over: one KVM_RUN is measured. */
  | { readonly kind: 'loop'; readonly code: string; readonly rom?: ProbeRom }
  /** A pass over all pages: the first less the second, by page. */
  | { readonly kind: 'fault'; readonly code: string; readonly rom: ProbeRom }
  /** Slot calls, one after the other. */
  | { readonly kind: 'ioctl'; readonly acts: readonly ProbeAct[]; readonly rom: ProbeRom };

/** Steps of one KVM_RUN, one page or one round of calls, by probe; fractions where pages share a step. */
export type ProbeSteps = ReadonlyMap<string, StepCounts>;

/** Probes of this name were each recorded in a VM of their own. */
const OWN = 'own/';
const RAM_BYTES = 64 * 1024;
const CODE_AT = 0x1000;
const ROM_AT = 0x100000;
const STACK_TOP = 0x8000;
/** Loads a byte of each page and halts: `mov bl, [esi]; add esi, 4096; loop; hlt`. */
const READ_ALL = '8a1e81c600100000e2f6f4';
/** Runs before the measured ones, and measured runs: an even number, for the upper of two middles. */
const WARM_UP = 4;
const MEASURED = 8;
const HLT = 0xf4;

/**
 * Runs all probes on fresh machines of one kernel. Loops over the same ROM share a machine, in this order, but for
 * those that were recorded alone (`own/`). A probe that does not get to its end under this kernel (a pass over pages
 * that ends in -EFAULT) is left out.
 */
export function runProbes(probes: ReadonlyMap<string, Probe>, createMachine: () => Machine): ProbeSteps {
  const shared = new Map<string, ProbeVm>();
  const steps = new Map<string, StepCounts>();
  for (const [id, probe] of probes) {
    const counts = runProbe(id, probe, shared, createMachine);
    if (counts !== undefined) steps.set(id, counts);
  }
  return steps;
}

function runProbe(
  id: string,
  probe: Probe,
  shared: Map<string, ProbeVm>,
  createMachine: () => Machine,
): StepCounts | undefined {
  if (probe.kind === 'host') return HOST_PROBES[id];
  if (probe.kind === 'fault') return new ProbeVm(createMachine(), probe.rom).pass(probe.code);
  if (probe.kind === 'ioctl') return new ProbeVm(createMachine(), probe.rom).acts(probe.acts);
  if (id.startsWith(OWN)) return new ProbeVm(createMachine(), probe.rom).loop(probe.code);
  // What one probe leaves mapped, the next one finds: a page that was read stays in stage 2.
  const key = JSON.stringify(probe.rom ?? null);
  const vm = shared.get(key) ?? new ProbeVm(createMachine(), probe.rom);
  shared.set(key, vm);
  return vm.loop(probe.code);
}

/** A probe measures single KVM_RUNs: every exit ends one, and none is answered. */
const EVERY_EXIT: OnExit<number> = (_name, exit, ret) => (ret < 0 ? ret : exit.reason);

/** The recorder's VM: 64 KiB of memory, the ROM at 1 MiB, flat 32-bit code. */
class ProbeVm {
  readonly #machine: Machine;
  readonly #rom: Slot | undefined;
  readonly #pages: number;
  readonly #ram: Slot;

  constructor(machine: Machine, rom: ProbeRom | undefined) {
    this.#machine = machine;
    this.#pages = rom?.pages ?? 1;
    this.#ram = new Slot(machine, { slot: 0, guestPhysAddr: 0, bytes: RAM_BYTES, memory: RAM_MEMORY });
    this.#ram.set();
    if (rom !== undefined) this.#rom = this.#prepare(rom);
  }

  /** Makes the ROM and brings its pages into the state the probe asks for. */
  #prepare({ type, prot, flags, pages, host }: ProbeRom): Slot {
    const memory = recordedMemory(type, prot);
    const bytes = pages * PAGE_SIZE;
    const rom = new Slot(this.#machine, { slot: 1, guestPhysAddr: ROM_AT, bytes, flags, memory, fill: 0xa5 });
    rom.set();
    if (host === 'cold') rom.dropPageCache();
    if (host !== 'resident') return rom;
    // Reading every page maps it in the host; a new slot then has the host's entries and none of stage 2.
    this.#start(READ_ALL, pages);
    this.#enter();
    rom.delete();
    rom.set();
    return rom;
  }

  /** Probes are about steps: an engine that does not see them cannot run one. */
  #steps(): StepCounts {
    const { steps } = this.#machine.observe();
    assert(steps !== undefined, 'probes need an engine that counts steps');
    return steps;
  }

  /** One KVM_RUN: what it came back with, an exit reason or -errno. */
  #enter(): number {
    return runVcpu(this.#machine, EVERY_EXIT, 1) ?? 0;
  }

  /** Loads the code and sets the registers, as the recorder does before a probe and after an error. */
  #start(code: string, count: number): void {
    this.#ram.poke(CODE_AT, fromHex(code));
    this.#reset(count);
  }

  #reset(count: number): void {
    const regs = { rip: CODE_AT, rax: 0x42, rcx: count, rsi: ROM_AT, rdi: ROM_AT, rsp: STACK_TOP };
    this.#machine.setupVcpu({ mode: 'prot32', regs });
  }

  /** Steps of one KVM_RUN once things repeat: of the runs' upper median, as the recorder's p50 is. */
  loop(code: string): StepCounts {
    const count = 1 << 30;
    this.#start(code, count);
    const runs: StepCounts[] = [];
    let before = this.#steps();
    for (let i = 0; i < WARM_UP + MEASURED; i++) {
      const why = this.#enter();
      const after = this.#steps();
      runs.push(less(after, before));
      before = after;
      if (why < 0 || why === KVM_EXIT_INTERNAL_ERROR) this.#reset(count);
    }
    this.#drain();
    const sorted = runs.slice(WARM_UP).sort((a, b) => sum(a) - sum(b));
    return sorted[MEASURED / 2] ?? {};
  }

  /** Lets whatever exit is pending finish: the guest finds nothing but HLT. */
  #drain(): void {
    this.#ram.poke(CODE_AT, new Uint8Array(PAGE_SIZE).fill(HLT));
    for (let i = 0; i < WARM_UP; i++) {
      const why = this.#enter();
      if (why < 0 || why === KVM_EXIT_HLT) return;
    }
  }

  /** Steps a page costs when it is touched first; undefined if the guest does not get through. */
  pass(code: string): StepCounts | undefined {
    const marks = [this.#steps()];
    for (let i = 0; i < 2; i++) {
      this.#start(code, this.#pages);
      if (this.#enter() !== KVM_EXIT_HLT) return undefined;
      marks.push(this.#steps());
    }
    const [start = {}, first = {}, second = {}] = marks;
    return scaled(less(less(first, start), less(second, first)), 1 / this.#pages);
  }

  /** Steps of slot calls, from the state in which the first of them can be made. */
  acts(acts: readonly ProbeAct[]): StepCounts {
    if (acts[0] === 'create') this.#rom?.delete();
    const before = this.#steps();
    for (const act of acts) act === 'create' ? this.#rom?.set() : this.#rom?.delete();
    return less(this.#steps(), before);
  }
}

function less(a: StepCounts, b: StepCounts): StepCounts {
  const entries = Object.entries(a).map(([step, n]) => [step, n - (b[step] ?? 0)] as const);
  return Object.fromEntries(entries.filter(([, n]) => n !== 0));
}

const scaled = (a: StepCounts, by: number): StepCounts =>
  Object.fromEntries(Object.entries(a).map(([step, n]) => [step, n * by]));

const sum = (a: StepCounts): number => Object.values(a).reduce((total, n) => total + n, 0);
