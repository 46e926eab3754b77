/**
 * One recorded case on a machine: the same slots, the same bytes, the same VMM actions, and then everything the
 * recorder wrote down, to be compared word for word.
 */
import {
  KVM_EXIT_HLT,
  KVM_EXIT_INTERNAL_ERROR,
  KVM_EXIT_IO,
  KVM_EXIT_MMIO,
  KVM_EXIT_SHUTDOWN,
  PROT_READ,
  PROT_WRITE,
} from '../../engine/abi.ts';
import type { CpuMode, Machine } from '../../engine/machine.ts';

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

interface LiveSlot {
  readonly spec: CaseSlot;
  readonly backing: number;
  readonly hva: number;
}

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
  const slots: LiveSlot[] = c.slots.map((spec) => makeSlot(spec, machine));
  const rets = slots.map((s) => setSlot(s, s.spec.flags, s.spec.size, machine));
  for (const { gpa, hex } of c.load) loadBytes(slots, gpa, bytesOf(hex), machine);
  const setup = { mode: c.mode, regs: c.regs, segs: c.segs };
  machine.setupVcpu(c.cr3 === undefined ? setup : { ...setup, cr3: c.cr3 });
  const exits: CaseExit[] = [];
  const errno = runToEnd(c, slots, machine, exits);
  const regs = machine.getRegs();
  return {
    slots: rets,
    exits,
    errno,
    regs: regs.gpr.slice(0, 8).map((r) => r.toString(16)),
    rip: regs.rip.toString(16),
    rflags: regs.rflags.toString(16),
    mem: Object.fromEntries(slots.map((s) => [`${s.spec.id}`, memo.digest(s.spec.id, memoryOf(s, machine))])),
  };
}

function makeSlot(spec: CaseSlot, machine: Machine): LiveSlot {
  const kind = spec.type === 'priv' ? 'shm' : spec.type;
  const backing = machine.createBacking({ kind, bytes: spec.size, fill: spec.fill });
  const prot = spec.prot === 'rw' ? PROT_READ | PROT_WRITE : PROT_READ;
  const hva = machine.mmap({ backing, prot, shared: spec.type !== 'priv' });
  return { spec, backing, hva };
}

function setSlot(s: LiveSlot, flags: number, memorySize: number, machine: Machine): number {
  const { id, gpa } = s.spec;
  return machine.setUserMemoryRegion({
    slot: id,
    flags,
    guestPhysAddr: gpa,
    memorySize,
    userspaceAddr: s.hva,
  });
}

function loadBytes(slots: readonly LiveSlot[], gpa: number, bytes: Uint8Array, machine: Machine): void {
  const s = slots.find((x) => gpa >= x.spec.gpa && gpa < x.spec.gpa + x.spec.size);
  if (s === undefined) return;
  const offset = gpa - s.spec.gpa;
  machine.poke(s.backing, offset, bytes.subarray(0, s.spec.size - offset));
}

/** Runs until the guest ends, the VM dies or the VMM has had enough; returns the last errno. */
function runToEnd(c: OracleCase, slots: readonly LiveSlot[], machine: Machine, exits: CaseExit[]): number {
  for (let n = 0; n < c.maxExits; n++) {
    const ret = machine.run();
    if (ret < 0) return -ret;
    const { exit } = machine;
    if (exit.reason === KVM_EXIT_MMIO) {
      exits.push(mmioEntry(machine));
      if (!exit.isWrite) exit.data.fill(c.mmioRead);
    } else if (exit.reason === KVM_EXIT_IO) {
      portAccess(c, slots, machine, exits);
    } else {
      exits.push(LAST_WORDS[exit.reason] ?? { r: `EXIT_${exit.reason}` });
      return 0;
    }
  }
  return 0;
}

const LAST_WORDS: Readonly<Record<number, CaseExit>> = {
  [KVM_EXIT_HLT]: { r: 'HLT' },
  [KVM_EXIT_SHUTDOWN]: { r: 'SHUTDOWN' },
  [KVM_EXIT_INTERNAL_ERROR]: { r: 'INTERNAL_ERROR', sub: 1 },
};

function mmioEntry(machine: Machine): CaseExit {
  const { exit } = machine;
  const entry = { r: 'MMIO', w: exit.isWrite ? 1 : 0, gpa: exit.physAddr.toString(16), len: exit.len };
  return exit.isWrite ? { ...entry, data: hexOf(exit.data.subarray(0, exit.len)) } : entry;
}

function portAccess(c: OracleCase, slots: readonly LiveSlot[], machine: Machine, exits: CaseExit[]): void {
  const { exit } = machine;
  if (exit.isWrite && exit.port === ACTION_PORT) {
    const action = c.actions[exit.data[0] ?? 0];
    if (action !== undefined) act(action, slots, machine, exits);
    return;
  }
  exits.push({ r: 'IO', port: exit.port, out: exit.isWrite ? 1 : 0, size: exit.len });
  if (!exit.isWrite) exit.data.fill(c.mmioRead);
}

function act(a: CaseAction, slots: readonly LiveSlot[], machine: Machine, exits: CaseExit[]): void {
  exits.push({ r: 'ACT', verb: a.verb });
  const s = slots.find((x) => x.spec.id === a.slot);
  if (s === undefined) return;
  exits.push({ ret: perform(a, s, machine, exits) });
}

function perform(a: CaseAction, s: LiveSlot, machine: Machine, exits: CaseExit[]): number {
  const { size } = s.spec;
  switch (a.verb) {
    case 'flags':
    case 'create':
      return setSlot(s, a.flags ?? 0, size, machine);
    case 'delete':
      return setSlot(s, 0, 0, machine);
    case 'mprotect':
      return machine.mprotect(s.hva, size, a.prot ?? 0);
    case 'poke':
      machine.poke(s.backing, a.offset ?? 0, bytesOf(a.hex ?? ''));
      return 0;
    case 'evict':
      return evict(s, machine, exits);
    default: {
      const log = machine.getDirtyLog(a.slot);
      exits.push({ dirty: hexOf(log.ret === 0 ? log.bitmap : new Uint8Array(size / 4096 / 8)) });
      return log.ret;
    }
  }
}

function evict(s: LiveSlot, machine: Machine, exits: CaseExit[]): number {
  if (s.spec.type !== 'file') return machine.madviseDontneed(s.hva, s.spec.size);
  const ret = machine.dropPageCache(s.backing);
  exits.push({ resident: machine.residentPages(s.hva) });
  return ret;
}

function memoryOf(s: LiveSlot, machine: Machine): Uint8Array {
  return machine.peek(s.backing, 0, s.spec.size);
}

/** FNV-1a 64 of bytes, 16 hex digits: the recorder's digest. */
export function fnv1a64(bytes: Uint8Array): string {
  // Two halves of 32 bits; the prime is 2^40 + 0x1b3.
  let low = 0x84222325;
  let high = 0xcbf29ce4;
  for (const byte of bytes) {
    low = (low ^ byte) >>> 0;
    const a = (low & 0xffff) * 0x1b3;
    const b = (low >>> 16) * 0x1b3 + (a >>> 16);
    high = (Math.imul(high, 0x1b3) + (low << 8) + Math.floor(b / 0x10000)) >>> 0;
    low = (((b & 0xffff) << 16) | (a & 0xffff)) >>> 0;
  }
  return high.toString(16).padStart(8, '0') + low.toString(16).padStart(8, '0');
}

function bytesOf(hex: string): Uint8Array {
  const bytes = new Uint8Array(hex.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}

function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');
}
