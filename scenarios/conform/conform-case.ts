/**
 * One recorded case on a machine: the same slots, the same bytes, the same VMM actions, and then everything the
 * recorder wrote down, to be compared word for word.
 */
import { EINTR, PROT_READ, PROT_WRITE } from '../../engine/abi.ts';
import { EXITS, type ExitName, type ExitRecord, FAULTLINE_EXIT_UNSUPPORTED } from '../../engine/exits.ts';
import { fnv1a64 } from '../../engine/fnv.ts';
import { fromHex, toHex } from '../../engine/hex.ts';
import { HUGE_PAGE_SIZE, type Machine, type VmOptions } from '../../engine/machine.ts';
import { type OnExit, runVcpu } from '../../engine/vmm/loop.ts';
import { Slot, type SlotMemory } from '../../engine/vmm/slot.ts';
import {
  type CaseAction,
  type CaseExit,
  type CaseOutcome,
  type CaseSlot,
  type MemoryType,
  type OracleCase,
  otherSlot,
} from './case.ts';
import { optionsOf } from './case-options.ts';

/** The port by which a guest asks for an action. */
const ACTION_PORT = 0xe0;
/** The port by which a guest says that it is done. */
const END_PORT = 0xf4;

/**
 * Digests of memory seen lately, by slot. The kernels of one case leave mostly the same bytes, and comparing
 * bytes is much cheaper than hashing them one by one.
 */
export class DigestMemo {
  readonly #seen = new Map<number, { bytes: Uint8Array; digest: string }>();

  /** FNV-1a 64 of the bytes. */
  digest(slot: number, bytes: Uint8Array): string {
    const last = this.#seen.get(slot);
    if (last !== undefined && equalBytes(last.bytes, bytes)) return last.digest;
    const digest = fnv1a64(bytes);
    this.#seen.set(slot, { bytes, digest });
    return digest;
  }
}

function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Runs a case to its end and reports what happened in the recorder's words. */
export function runCase(
  c: OracleCase,
  createMachine: (vm: VmOptions) => Machine,
  memo = new DigestMemo(),
): CaseOutcome {
  const options = optionsOf(c.opts);
  const machine = createMachine(options.vm);
  const slots: Slot[] = [];
  for (const spec of c.slots) slots.push(slotOf(spec, slots, machine, options.slowHandler));
  const rets = slots.map((s) => s.set());
  for (const { gpa, hex } of c.load) loadBytes(slots, gpa, fromHex(hex));
  const regs0 = options.rflags === undefined ? c.regs : { ...c.regs, rflags: options.rflags };
  const setup = { mode: c.mode, regs: regs0, segs: c.segs, ...options.vcpu };
  machine.setupVcpu(c.cr3 === undefined ? setup : { ...setup, cr3: c.cr3 });
  const recorder = new Recorder(c, slots, machine);
  const errno = recorder.run();
  const regs = machine.getRegs();
  for (const { id, type } of c.slots)
    if (READ_THROUGH_SLOT.includes(type)) slots.find((s) => s.spec.slot === id)?.protect(PROT_READ);
  const digest = (s: Slot): string => memo.digest(s.spec.slot, s.peek(0, s.spec.bytes));
  return {
    slots: rets,
    exits: recorder.exits,
    errno,
    regs: regs.gpr.slice(0, 8).map((r) => r.toString(16)),
    rip: regs.rip.toString(16),
    ...(errno === 0 && machine.exit.reason === FAULTLINE_EXIT_UNSUPPORTED
      ? { unsupported: `\`${machine.exit.unsupported}\` at rip ${regs.rip.toString(16)}` }
      : {}),
    rflags: regs.rflags.toString(16),
    mem: Object.fromEntries(slots.map((s) => [`${s.spec.slot}`, digest(s)])),
    // How often an endless guest went round says how long somebody waited.
    ...(expectsCounters(c) && (errno !== EINTR || options.slowHandler) ? counters(machine, slots) : {}),
  };
}

/** A case whose recordings say what KVM counted. */
export const expectsCounters = (c: OracleCase): boolean =>
  Object.values(c.expect).some((o) => o?.vcpu !== undefined);

/** KVM's statistics, and what a userfaultfd handler heard, in the recorder's words. */
function counters(machine: Machine, slots: readonly Slot[]): Pick<CaseOutcome, 'vcpu' | 'vm' | 'uffd'> {
  const { statistics, userfaults = [] } = machine.observe();
  if (statistics === undefined) return {};
  const { pages_4k, pages_2m, ...vcpu } = statistics;
  return {
    vcpu,
    vm: { pages_4k, pages_2m },
    uffd: userfaults.map(({ backing, offset, write }) => {
      const slot = slots.find((s) => s.backing === backing);
      return [slot?.spec.slot ?? 0, offset.toString(16), write ? 1 : 0];
    }),
  };
}

/**
 * Memory that has no alias: the recorder protects it and reads it where the guest has it, before it asks KVM for its
 * counters. Where that takes write access away, the stage-2 entries go.
 */
const READ_THROUGH_SLOT: readonly string[] = ['thp', 'thpna', 'nothp'];

/** The memory types of the recordings. */
const MEMORY: Readonly<Record<MemoryType, Omit<SlotMemory, 'prot'>>> = {
  shm: { backing: 'shm', shared: true },
  anon: { backing: 'anon', shared: false },
  priv: { backing: 'shm', shared: false },
  file: { backing: 'file', shared: true },
  thp: { backing: 'anon', shared: false, transparentHuge: true },
  thpna: { backing: 'anon', shared: false, transparentHuge: true },
  nothp: { backing: 'anon', shared: false },
  huge: { backing: 'hugetlb', shared: true },
  hugep: { backing: 'hugetlb', shared: false },
  pfn: { backing: 'pfnmap', shared: true },
  uffd: { backing: 'anon', shared: false, userfaultfd: 'prompt' },
};

/** Host memory behind a slot, in the recorder's words. */
export function recordedMemory(type: MemoryType, prot: CaseSlot['prot']): SlotMemory {
  return { ...MEMORY[type], prot: prot === 'rw' ? PROT_READ | PROT_WRITE : PROT_READ };
}

function slotOf(spec: CaseSlot, before: readonly Slot[], machine: Machine, slow: boolean): Slot {
  const { id, gpa, size, flags, type, prot, fill } = spec;
  const place = { slot: id, guestPhysAddr: gpa, bytes: size, flags };
  const other = otherSlot(type);
  const same = before.find((s) => s.spec.slot === other);
  if (same !== undefined)
    return new Slot(machine, {
      ...place,
      memory: { ...same.spec.memory, prot: recordedMemory('shm', prot).prot },
      same,
    });
  const memory = recordedMemory(type as MemoryType, prot);
  const handler = memory.userfaultfd !== undefined && slow ? { userfaultfd: 'slow' as const } : {};
  // The guest's address within a huge page, or a page further on.
  const apart = type === 'thpna' ? 4096 : 0;
  const huge = memory.transparentHuge ? { hugeOffset: (gpa + apart) % HUGE_PAGE_SIZE } : {};
  return new Slot(machine, { ...place, memory: { ...memory, ...handler }, fill, ...huge });
}

function loadBytes(slots: readonly Slot[], gpa: number, bytes: Uint8Array): void {
  const s = slots.find(({ spec }) => gpa >= spec.guestPhysAddr && gpa < spec.guestPhysAddr + spec.bytes);
  if (s === undefined) return;
  const offset = gpa - s.spec.guestPhysAddr;
  s.poke(offset, bytes.subarray(0, s.spec.bytes - offset));
}

/** The recorder's VMM: writes every exit down, answers reads with one byte, and does what the guest asks for. */
class Recorder {
  readonly exits: CaseExit[] = [];
  readonly #case: OracleCase;
  readonly #slots: readonly Slot[];
  readonly #machine: Machine;

  constructor(c: OracleCase, slots: readonly Slot[], machine: Machine) {
    this.#case = c;
    this.#slots = slots;
    this.#machine = machine;
  }

  /** Runs until the guest ends, the VM dies or the VMM has had enough; returns the last errno. */
  run(): number {
    return runVcpu(this.#machine, this.#onExit, this.#case.maxExits) ?? 0;
  }

  readonly #onExit: OnExit<number> = (name, exit, ret) => {
    if (ret < 0) return -ret;
    switch (name) {
      case 'mmio-read':
      case 'mmio-write':
        return this.#mmio(exit);
      case 'io':
        return this.#port(exit);
      case 'internal-error':
        this.exits.push(internalError(exit));
        return 0;
      default:
        this.exits.push({ r: name === undefined ? `EXIT_${exit.reason}` : reasonOf(name) });
        return 0;
    }
  };

  #mmio(exit: ExitRecord): undefined {
    const gpa = exit.physAddr.toString(16);
    const entry = { r: 'MMIO' as const, w: exit.isWrite ? 1 : 0, gpa, len: exit.len };
    this.exits.push(exit.isWrite ? { ...entry, data: toHex(exit.data.subarray(0, exit.len)) } : entry);
    if (!exit.isWrite) exit.data.fill(this.#case.mmioRead);
  }

  #port(exit: ExitRecord): number | undefined {
    if (exit.isWrite && exit.port === ACTION_PORT) {
      const action = this.#case.actions[exit.data[0] ?? 0];
      if (action !== undefined) act(action, this.#slots, this.exits);
      return undefined;
    }
    if (exit.isWrite && exit.port === END_PORT) {
      this.exits.push({ r: 'END', v: exit.data[0] ?? 0 });
      return 0;
    }
    this.exits.push({ r: 'IO', port: exit.port, out: exit.isWrite ? 1 : 0, size: exit.len });
    if (!exit.isWrite) exit.data.fill(this.#case.mmioRead);
    return undefined;
  }
}

/** KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES is the one flag there is. */
function internalError({ suberror, ndata, insnSize, insnBytes }: ExitRecord): CaseExit {
  const insn = toHex(insnBytes.subarray(0, insnSize));
  return { r: 'INTERNAL_ERROR', sub: suberror, ndata, flags: insnSize > 0 ? 1 : 0, insn };
}

/** As the recorder wrote it: the kernel's name without what all of them begin with. */
const reasonOf = (name: ExitName): string => EXITS[name].name.replace(/^KVM_EXIT_/, '');

function act(a: CaseAction, slots: readonly Slot[], exits: CaseExit[]): void {
  exits.push({ r: 'ACT', verb: a.verb });
  const s = slots.find((x) => x.spec.slot === a.slot);
  if (s !== undefined) exits.push({ ret: perform(a, s, exits) });
}

function perform(a: CaseAction, s: Slot, exits: CaseExit[]): number {
  switch (a.verb) {
    case 'flags':
    case 'create':
      return s.set(a.flags);
    case 'delete':
      return s.delete();
    case 'mprotect':
      return s.protect(a.prot);
    case 'poke':
      s.poke(a.offset, fromHex(a.hex));
      return 0;
    case 'evict':
      return evict(s, exits);
    case 'dirty': {
      const log = s.dirtyLog();
      exits.push({ dirty: toHex(log.ret === 0 ? log.bitmap : new Uint8Array(s.spec.bytes / 4096 / 8)) });
      return log.ret;
    }
  }
}

function evict(s: Slot, exits: CaseExit[]): number {
  if (s.spec.memory.backing !== 'file') return s.dontneed();
  const ret = s.dropPageCache();
  exits.push({ resident: s.residentPages() });
  return ret;
}
