/**
 * One recorded case on a machine: the same slots, the same bytes, the same VMM actions, and then everything the
 * recorder wrote down, to be compared word for word.
 */
import { PROT_READ, PROT_WRITE } from '../../engine/abi.ts';
import { EXITS, type ExitName, type ExitRecord, FAULTLINE_EXIT_UNSUPPORTED } from '../../engine/exits.ts';
import { fnv1a64 } from '../../engine/fnv.ts';
import { fromHex, toHex } from '../../engine/hex.ts';
import type { CpuMode, Machine } from '../../engine/machine.ts';
import { type OnExit, runVcpu } from '../../engine/vmm/loop.ts';
import { Slot, type SlotMemory } from '../../engine/vmm/slot.ts';

/** A slot of a recorded case: the ioctl, and the host memory behind it. */
export interface CaseSlot {
  readonly id: number;
  readonly gpa: number;
  readonly size: number;
  readonly flags: number;
  readonly type: 'shm' | 'anon' | 'priv' | 'file';
  readonly prot: 'r' | 'rw';
  readonly fill: number;
}

/** What the VMM does when the guest writes the action's number to port 0xe0. */
export interface CaseAction {
  readonly verb: 'flags' | 'delete' | 'create' | 'mprotect' | 'poke' | 'evict' | 'dirty';
  readonly slot: number;
  readonly flags?: number;
  readonly prot?: number;
  readonly offset?: number;
  readonly hex?: string;
}

/** One entry of a recorded transcript. */
export interface CaseExit {
  readonly r?: string;
  readonly w?: number;
  readonly gpa?: string;
  readonly len?: number;
  readonly data?: string;
  readonly port?: number;
  readonly out?: number;
  readonly size?: number;
  readonly sub?: number;
  readonly verb?: string;
  readonly ret?: number;
  readonly dirty?: string;
  readonly resident?: number;
}

/** What a kernel did, or what the core did. */
export interface CaseOutcome {
  readonly slots: readonly number[];
  readonly exits: readonly CaseExit[];
  readonly errno: number;
  readonly regs?: readonly string[];
  readonly rip?: string;
  readonly rflags?: string;
  readonly mem?: Readonly<Record<string, string>>;
  /** The guest ran away from its code: only exits and errno mean anything. */
  readonly wanders?: boolean;
  /** The core alone: an instruction that it does not know, so that nothing here is comparable. */
  readonly unsupported?: string;
}

/** A recorded case. */
export interface OracleCase {
  readonly id: string;
  readonly mode: CpuMode;
  readonly slots: readonly CaseSlot[];
  readonly load: readonly { readonly gpa: number; readonly hex: string }[];
  readonly segs: Readonly<Record<string, number>>;
  readonly regs: Readonly<Record<string, number>>;
  readonly cr3?: number;
  readonly mmioRead: number;
  readonly maxExits: number;
  readonly actions: readonly CaseAction[];
  readonly asm: string;
  readonly expect: Readonly<Record<string, CaseOutcome>>;
  readonly notRun?: readonly string[];
}

/** The port by which a guest asks for an action. */
const ACTION_PORT = 0xe0;

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
export function runCase(c: OracleCase, machine: Machine, memo = new DigestMemo()): CaseOutcome {
  const slots = c.slots.map((spec) => slotOf(spec, machine));
  const rets = slots.map((s) => s.set());
  for (const { gpa, hex } of c.load) loadBytes(slots, gpa, fromHex(hex));
  const setup = { mode: c.mode, regs: c.regs, segs: c.segs };
  machine.setupVcpu(c.cr3 === undefined ? setup : { ...setup, cr3: c.cr3 });
  const recorder = new Recorder(c, slots, machine);
  const errno = recorder.run();
  const regs = machine.getRegs();
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
  };
}

/** The memory types of the recordings. */
export function recordedMemory(type: CaseSlot['type'], prot: CaseSlot['prot']): SlotMemory {
  return {
    backing: type === 'priv' ? 'shm' : type,
    shared: type !== 'priv',
    prot: prot === 'rw' ? PROT_READ | PROT_WRITE : PROT_READ,
  };
}

const slotOf = ({ id, gpa, size, flags, type, prot, fill }: CaseSlot, machine: Machine): Slot =>
  new Slot(machine, {
    slot: id,
    guestPhysAddr: gpa,
    bytes: size,
    flags,
    memory: recordedMemory(type, prot),
    fill,
  });

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
        this.exits.push({ r: 'INTERNAL_ERROR', sub: exit.suberror });
        return 0;
      default:
        this.exits.push({ r: name === undefined ? `EXIT_${exit.reason}` : reasonOf(name) });
        return 0;
    }
  };

  #mmio(exit: ExitRecord): undefined {
    const entry = { r: 'MMIO', w: exit.isWrite ? 1 : 0, gpa: exit.physAddr.toString(16), len: exit.len };
    this.exits.push(exit.isWrite ? { ...entry, data: toHex(exit.data.subarray(0, exit.len)) } : entry);
    if (!exit.isWrite) exit.data.fill(this.#case.mmioRead);
  }

  #port(exit: ExitRecord): undefined {
    if (exit.isWrite && exit.port === ACTION_PORT) {
      const action = this.#case.actions[exit.data[0] ?? 0];
      if (action !== undefined) act(action, this.#slots, this.exits);
      return;
    }
    this.exits.push({ r: 'IO', port: exit.port, out: exit.isWrite ? 1 : 0, size: exit.len });
    if (!exit.isWrite) exit.data.fill(this.#case.mmioRead);
  }
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
      return s.set(a.flags ?? 0);
    case 'delete':
      return s.delete();
    case 'mprotect':
      return s.protect(a.prot ?? 0);
    case 'poke':
      s.poke(a.offset ?? 0, fromHex(a.hex ?? ''));
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
