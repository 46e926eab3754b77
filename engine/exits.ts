/**
 * The one table of exits: how KVM_RUN comes back to userspace, what `struct kvm_run` says then, and how people are
 * told. Who answers exits, counts or prints them goes by this table, and the compiler asks all of them about a new row.
 * Sources: include/uapi/linux/kvm.h of Linux 6.1; the words and groups are ours.
 */
import { EFAULT, EINTR } from './abi.ts';

/** Why `KVM_RUN` came back to userspace (`kvm_run.exit_reason`); the numbers are the ABI's. */
export const KVM_EXIT_UNKNOWN = 0;
/** The guest used a port that no in-kernel device has. */
export const KVM_EXIT_IO = 2;
/** The guest halted, and no in-kernel interrupt controller could wake it. */
export const KVM_EXIT_HLT = 5;
/** The guest touched memory that the VMM has to answer for. */
export const KVM_EXIT_MMIO = 6;
/** The guest's processor shut down: a fault while delivering a double fault. */
export const KVM_EXIT_SHUTDOWN = 8;
/** A signal ended the call. The core reports it for a guest that provably makes no progress. */
export const KVM_EXIT_INTR = 10;
/** KVM could not go on; `suberror` says why. */
export const KVM_EXIT_INTERNAL_ERROR = 17;

/**
 * An exit of the engine's own, which no kernel gives: it does not know what the guest asked of its processor, and
 * says so instead of guessing. rip is at the instruction. Nothing follows from it about guest, kernel or strategy.
 */
export const FAULTLINE_EXIT_UNSUPPORTED = -1;

/** `KVM_EXIT_INTERNAL_ERROR`: the instruction emulator met something it cannot do. */
export const KVM_INTERNAL_ERROR_EMULATION = 1;

/**
 * `struct kvm_run` after an exit. One record per machine, refilled at each exit: copy what is to be kept. Only what
 * the exit's row in the table `carries` means anything; the rest is left over from exits before.
 */
export interface ExitRecord {
  /** KVM_EXIT_*. */
  reason: number;
  /** MMIO: the address. */
  physAddr: number;
  /** MMIO: bytes, at most 8. IO: bytes of one access. */
  len: number;
  /** MMIO and IO: the guest wrote. */
  isWrite: boolean;
  /**
   * MMIO and IO: what the guest wrote, or what the VMM answers before it runs the vCPU again. For IO `len` × `count`
   * bytes, what the emulator reads ahead for REP INS at the most.
   */
  readonly data: Uint8Array;
  /** IO: the port. */
  port: number;
  /** IO: accesses of `len` bytes, one after the other; more than 1 for string input. MMIO: 1. */
  count: number;
  /** INTERNAL_ERROR: KVM_INTERNAL_ERROR_*. */
  suberror: number;
  /** INTERNAL_ERROR: how many 64-bit words of `kvm_run.internal.data` are filled. */
  ndata: number;
  /** INTERNAL_ERROR of the emulator: bytes of the instruction that were fetched (`insn_size`), 0 if none were… */
  insnSize: number;
  /** …and these bytes (`insn_bytes`), usually more than the instruction has. */
  readonly insnBytes: Uint8Array;
  /** FAULTLINE_EXIT_UNSUPPORTED: the instruction that the engine does not know, in words. */
  unsupported: string;
}

/** Data of one exit: `struct read_cache` of the emulator (arch/x86/kvm/kvm_emulate.h), which REP INS fills. */
export const EXIT_DATA_BYTES = 1024;

/** A `kvm_run` before the first exit. */
export const newExitRecord = (): ExitRecord => ({
  reason: KVM_EXIT_UNKNOWN,
  physAddr: 0,
  len: 0,
  isWrite: false,
  data: new Uint8Array(EXIT_DATA_BYTES),
  port: 0,
  count: 1,
  suberror: 0,
  ndata: 0,
  insnSize: 0,
  insnBytes: new Uint8Array(15),
  unsupported: '',
});

/**
 * Exits that belong together in what is claimed and printed: `memory`, the guest touched memory that KVM has no page
 * for; `call`, the guest turned to its VMM, as it does in every run; `end`, nobody can go on.
 */
export type ExitGroup = 'memory' | 'call' | 'end';

/** One way of coming back. */
interface ExitRow {
  /** `kvm_run.exit_reason`; absent where the errno is all there is. */
  readonly reason?: number;
  /** The errno KVM_RUN returns, positive; absent where it returns 0. */
  readonly errno?: number;
  /** Tells rows of one reason apart. */
  readonly when?: (exit: ExitRecord) => boolean;
  /** The kernel's name. */
  readonly name: string;
  /** The fields of `kvm_run` that it fills. */
  readonly carries: readonly Exclude<keyof ExitRecord, 'reason'>[];
  readonly group: ExitGroup;
  /** Its column head in a table of counts, where a space may break; null for an exit that only ends a run. */
  readonly head: string | null;
  /** What userspace sees of it, in a line. */
  readonly says: (exit: ExitRecord) => string;
}

/** The table, in the order reports print it. */
export const EXITS = {
  'mmio-read': {
    reason: KVM_EXIT_MMIO,
    when: (exit) => !exit.isWrite,
    name: 'KVM_EXIT_MMIO',
    carries: ['physAddr', 'len', 'count', 'isWrite', 'data'],
    group: 'memory',
    head: 'mmio read',
    says: (exit) => `KVM_EXIT_MMIO: read of ${exit.len} at ${exit.physAddr.toString(16)}`,
  },
  'mmio-write': {
    reason: KVM_EXIT_MMIO,
    when: (exit) => exit.isWrite,
    name: 'KVM_EXIT_MMIO',
    carries: ['physAddr', 'len', 'count', 'isWrite', 'data'],
    group: 'memory',
    head: 'mmio write',
    says: (exit) => `KVM_EXIT_MMIO: write of ${exit.len} at ${exit.physAddr.toString(16)}`,
  },
  io: {
    reason: KVM_EXIT_IO,
    name: 'KVM_EXIT_IO',
    carries: ['port', 'len', 'count', 'isWrite', 'data'],
    group: 'call',
    head: 'io',
    says: (exit) => `KVM_EXIT_IO: port ${exit.port.toString(16)}`,
  },
  hlt: {
    reason: KVM_EXIT_HLT,
    name: 'KVM_EXIT_HLT',
    carries: [],
    group: 'call',
    head: 'hlt',
    says: () => 'KVM_EXIT_HLT',
  },
  'internal-error': {
    reason: KVM_EXIT_INTERNAL_ERROR,
    name: 'KVM_EXIT_INTERNAL_ERROR',
    carries: ['suberror', 'ndata', 'insnSize', 'insnBytes'],
    group: 'end',
    head: 'int. error',
    says: (exit) => `KVM_EXIT_INTERNAL_ERROR, suberror ${exit.suberror}`,
  },
  shutdown: {
    reason: KVM_EXIT_SHUTDOWN,
    name: 'KVM_EXIT_SHUTDOWN',
    carries: [],
    group: 'end',
    head: 'shut down',
    says: () => 'KVM_EXIT_SHUTDOWN',
  },
  efault: {
    errno: EFAULT,
    name: '-EFAULT',
    carries: [],
    group: 'memory',
    head: '-E FAULT',
    says: () => 'returns -EFAULT: userspace learns neither address nor data',
  },
  intr: {
    errno: EINTR,
    name: 'KVM_EXIT_INTR',
    carries: [],
    group: 'end',
    head: null,
    says: () => 'the guest makes no progress: it would go on like this for ever',
  },
  unsupported: {
    reason: FAULTLINE_EXIT_UNSUPPORTED,
    name: 'FAULTLINE_EXIT_UNSUPPORTED',
    carries: ['unsupported'],
    group: 'end',
    head: null,
    says: (exit) => `none: Faultline does not know \`${exit.unsupported}\``,
  },
} as const satisfies Readonly<Record<string, ExitRow>>;

/** A way of coming back, by the name of its row. */
export type ExitName = keyof typeof EXITS;
/** An exit that is counted. */
export type ExitKind = {
  [N in ExitName]: (typeof EXITS)[N]['head'] extends string ? N : never;
}[ExitName];

const ROWS: Readonly<Record<ExitName, ExitRow>> = EXITS;
/** All rows' names, in the table's order. */
export const EXIT_NAMES: readonly ExitName[] = Object.keys(EXITS) as ExitName[];

/** Is it an exit that is counted? */
export const isCounted = (name: ExitName): name is ExitKind => EXITS[name].head !== null;

/** The exits that are counted, in the order of their columns. */
export const EXIT_KINDS: readonly ExitKind[] = EXIT_NAMES.filter(isCounted);

/** The counted exits of one group. */
export const exitKindsIn = (group: ExitGroup): readonly ExitKind[] =>
  EXIT_KINDS.filter((kind) => EXITS[kind].group === group);

/** No exit of any kind so far. */
export const noExits = (): Record<ExitKind, number> =>
  Object.fromEntries(EXIT_KINDS.map((kind) => [kind, 0])) as Record<ExitKind, number>;

/**
 * Which row a return of KVM_RUN is: of the errno alone (0 or less, as the call returns it) where the exit's reason
 * says no more. Undefined for what the table does not have.
 */
export function exitOf(ret: number, exit: ExitRecord): ExitName | undefined {
  let bare: ExitName | undefined;
  for (const name of EXIT_NAMES) {
    const row = ROWS[name];
    if ((row.errno ?? 0) !== -ret) continue;
    if (row.reason === undefined) bare = name;
    else if (row.reason === exit.reason && row.when?.(exit) !== false) return name;
  }
  return bare;
}

/** What userspace sees of a return of KVM_RUN, in a line. */
export function exitSays(ret: number, exit: ExitRecord): string {
  const name = exitOf(ret, exit);
  return name === undefined ? `exit reason ${exit.reason}, returned ${ret}` : ROWS[name].says(exit);
}
