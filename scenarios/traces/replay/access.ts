/** What a recorded VM exit says of the guest's memory: one access, and what KVM made of it. */
import { PFERR_FETCH, PFERR_PRESENT, PFERR_RSVD, PFERR_WRITE } from '../../../engine/abi.ts';
import { hexNumber } from '../read/scan.ts';
import type { VmExit } from '../read/vm-exit.ts';

/** What became of an access. */
export type Outcome =
  /** A stage-2 entry was made, and the guest went on. */
  | 'mapped'
  /** No memory took the store or gave the load: the emulator asked a device. */
  | 'mmio-write'
  | 'mmio-read'
  /** KVM_RUN returned an error. */
  | 'error'
  /** KVM could not emulate the instruction. */
  | 'internal-error';

/** One access of the guest's that KVM heard of. */
export interface Access {
  /** Line and time of the exit in the trace. */
  readonly line: number;
  readonly time: number;
  readonly rip: string;
  readonly gpa: number;
  readonly kind: 'read' | 'write' | 'fetch';
  /** Bytes: those of the first piece that reached the emulator, else 1. */
  readonly len: number;
  /** KVM took a page fault for it; an MMIO exit of Intel's (EPT_MISCONFIG) is none. */
  readonly fault: boolean;
  /** The fault met an entry: one that forbids the access, or one for MMIO. */
  readonly present: boolean;
  readonly mmioEntry: boolean;
  readonly outcome: Outcome;
  /** Pieces of the access beyond the first: a string instruction that the emulator went on with. */
  readonly morePieces: number;
  /** KVM answered by itself: a device of its own, or coalesced MMIO. */
  readonly inKernel: boolean;
}

/** Why an exit is no access to be replayed. */
export type NotReplayed =
  /** The exit has nothing to do with memory. */
  | 'no memory access'
  /** Recorded under shadow paging: the address is the guest's own. */
  | 'shadow paging'
  /** Beyond what a guest of 32 bits can reach. */
  | 'above 4 GiB';

/** EPT: bits 0 to 2 say what was tried, 3 to 5 what the entry allowed; bits 7 and 8 are never set in a #NPF code. */
const EPT_MARKS = 0x180;
const EPT_WRITE = 2;
const EPT_FETCH = 4;
const EPT_ALLOWED = 0x38;
const FOUR_GIB = 2 ** 32;

/** Exits under whose name a page fault is one of the guest's own addresses. */
const SHADOW = /^(?:EXCEPTION_NMI|EXIT_EXCP_PF|PF excp)/;

/** The access of an exit, or why there is none. */
export function accessOf(exit: VmExit): Access | NotReplayed {
  const { fault, mmio } = exit;
  const [piece] = mmio;
  if (fault === undefined && piece === undefined) return 'no memory access';
  if (SHADOW.test(exit.reason)) return 'shadow paging';
  const address = fault === undefined ? (piece?.gpa ?? 0) : hexNumber(fault.address);
  if (address >= FOUR_GIB) return 'above 4 GiB';
  const code = decode(fault?.code, piece?.kind === 'write');
  // The emulator's first piece says how wide the access is, if it is at the page that faulted.
  const known = piece !== undefined && Math.floor(piece.gpa / 4096) === Math.floor(address / 4096);
  return {
    line: exit.line,
    time: exit.time,
    rip: exit.rip,
    gpa: known ? piece.gpa : address,
    kind: code.fetch ? 'fetch' : code.write ? 'write' : 'read',
    len: known ? piece.len : 1,
    fault: fault !== undefined,
    present: code.present,
    mmioEntry: code.mmioEntry,
    outcome: outcomeOf(exit),
    morePieces: Math.max(0, exit.mmioCount - answers(exit) - 1),
    inKernel: piece !== undefined && exit.userspace === undefined,
  };
}

/** An answer follows a question: the two are one piece. */
const answers = (exit: VmExit): number => (exit.mmio.some((p) => p.kind === 'unsatisfied-read') ? 1 : 0);

interface Code {
  readonly write: boolean;
  readonly fetch: boolean;
  readonly present: boolean;
  readonly mmioEntry: boolean;
}

/** A #NPF code or an EPT exit qualification; without either (EPT_MISCONFIG) the emulator's word, on an MMIO entry. */
function decode(code: number | undefined, writes: boolean): Code {
  if (code === undefined) return { write: writes, fetch: false, present: false, mmioEntry: true };
  const low = code % FOUR_GIB;
  if (code < FOUR_GIB && (low & EPT_MARKS) !== 0)
    return {
      write: (low & EPT_WRITE) !== 0,
      fetch: (low & EPT_FETCH) !== 0,
      present: (low & EPT_ALLOWED) !== 0,
      mmioEntry: false,
    };
  return {
    write: (low & PFERR_WRITE) !== 0,
    fetch: (low & PFERR_FETCH) !== 0,
    present: (low & PFERR_PRESENT) !== 0,
    mmioEntry: (low & PFERR_RSVD) !== 0,
  };
}

function outcomeOf(exit: VmExit): Outcome {
  const { userspace, mmio } = exit;
  if (userspace?.reason === 'KVM_EXIT_INTERNAL_ERROR') return 'internal-error';
  if (userspace?.reason === 'error') return 'error';
  const [piece] = mmio;
  if (piece === undefined) return 'mapped';
  return piece.kind === 'write' ? 'mmio-write' : 'mmio-read';
}
