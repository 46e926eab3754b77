/** A small guest and its memory, and the words of a check: what the contract's checks are made of. */
import { PAGE_SIZE, PROT_READ, PROT_WRITE } from '../abi.ts';
import type { BackingKind, Machine, VcpuRegs } from '../machine.ts';
import type { Observable } from '../observation.ts';

/** One thing a Machine has to do. */
export interface ContractCheck {
  readonly name: string;
  /** What the engine must observe for the check to mean anything. */
  readonly needs?: readonly Observable[];
  /** What is wrong, in a line; undefined if nothing is. */
  readonly check: (createMachine: () => Machine) => string | undefined;
}

/** The guest's memory: RAM from 0, its code, and where a ROM goes. */
export const RAM_BYTES = 16 * PAGE_SIZE;
export const CODE_AT = 0x1000;
export const ROM_AT = 0x10_0000;
export const RW = PROT_READ | PROT_WRITE;

/** A machine with RAM at 0, whose guest starts at `code` in flat 32-bit mode with edi = 1 MiB and esi = 0x2000. */
export function guest(
  createMachine: () => Machine,
  code: readonly number[],
): { machine: Machine; ram: number } {
  const machine = createMachine();
  const ram = machine.createBacking({ kind: 'shm', bytes: RAM_BYTES });
  const hva = machine.mmap({ backing: ram, prot: RW, shared: true });
  slot(machine, 0, 0, 0, RAM_BYTES, hva);
  machine.poke(ram, CODE_AT, Uint8Array.from(code));
  machine.setupVcpu({
    mode: 'prot32',
    regs: { rip: CODE_AT, rax: 0x1122_3344, rdi: ROM_AT, rsi: 0x2000, rsp: 0x8000 },
  });
  return { machine, ram };
}

/** KVM_SET_USER_MEMORY_REGION in short. */
export function slot(
  m: Machine,
  id: number,
  flags: number,
  at: number,
  memorySize: number,
  hva: number,
): number {
  return m.setUserMemoryRegion({ slot: id, flags, guestPhysAddr: at, memorySize, userspaceAddr: hva });
}

/** One page at 1 MiB, filled with a5: its backing, hva and the return value of the slot call. */
export function rom(m: Machine, flags: number, prot: number, kind: BackingKind = 'shm', shared = true) {
  const backing = m.createBacking({ kind, bytes: PAGE_SIZE, fill: 0xa5 });
  const hva = m.mmap({ backing, prot, shared });
  return { backing, hva, ret: slot(m, 1, flags, ROM_AT, PAGE_SIZE, hva) };
}

/** Runs once; what came back must be this. */
export function returns(m: Machine, ret: number, reason?: number): string | undefined {
  const got = m.run();
  if (got !== ret) return `KVM_RUN returned ${got}, not ${ret}`;
  if (reason !== undefined && m.exit.reason !== reason) return `exit reason ${m.exit.reason}, not ${reason}`;
  return undefined;
}

/** What differs, in a line; undefined if nothing does. */
export function equal(what: string, got: unknown, want: unknown): string | undefined {
  const [a, b] = [got, want].map((x) => (typeof x === 'bigint' ? `${x}` : JSON.stringify(x)));
  return a === b ? undefined : `${what} is ${a}, not ${b}`;
}

/** The low half of rax. */
export const eax = (r: VcpuRegs): number => Number(BigInt.asUintN(32, r.gpr[0] ?? 0n));
/** Bytes as numbers, to be compared. */
export const bytes = (b: Uint8Array): number[] => [...b];

/** The first thing that is wrong; checks after it are not asked. */
export function first(...checks: readonly (() => string | undefined)[]): string | undefined {
  for (const check of checks) {
    const wrong = check();
    if (wrong !== undefined) return wrong;
  }
  return undefined;
}

/** Code: `hlt`; `mov [edi], eax; hlt`; `mov eax, [edi]; hlt`. */
export const HLT = 0xf4;
export const STORE = [0x89, 0x07, HLT];
export const LOAD = [0x8b, 0x07, HLT];
