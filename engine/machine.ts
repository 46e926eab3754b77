/**
 * The Machine: what a scenario needs of any KVM, the emulated core or a real `/dev/kvm`.
 * Calls have the shape of the system calls they stand for: 0 or more is success, less than 0 is -errno. contract/ has
 * what every Machine has to do, as checks that run on any of them.
 */
import type { MemoryRegion } from './abi.ts';
import type { ExitRecord } from './exits.ts';
import type { Life, Observable, Observation } from './observation.ts';
import type { Tracepoints } from './tracepoints.ts';

/** What a VMM can have as memory. */
export const BACKING_KINDS = [
  /** A memfd: swap-backed, shared or private. */
  'shm',
  /** Anonymous memory: swap-backed and private. */
  'anon',
  /** A file on a disk, by way of the page cache. */
  'file',
  /** A memfd of huge pages (hugetlb), 2 MiB each. */
  'hugetlb',
  /** Memory of a device that its driver maps page by page (VM_PFNMAP): get_user_pages() does not give it. */
  'pfnmap',
] as const;
/** How the VMM got the memory behind a mapping. */
export type BackingKind = (typeof BACKING_KINDS)[number];

/** Bytes that one huge page of the host has. */
export const HUGE_PAGE_SIZE = 2 ** 21;

/** A piece of memory the VMM can map. */
export interface BackingSpec {
  readonly kind: BackingKind;
  /** Size in bytes; a multiple of the page size unless a test of bad input wants otherwise. */
  readonly bytes: number;
  /** The byte it is filled with first; untouched pages stay unallocated when it is 0. */
  readonly fill?: number;
  /** Anonymous memory may be of transparent huge pages: madvise(MADV_HUGEPAGE). */
  readonly transparentHuge?: boolean;
  /**
   * The pages are not there: a userfaultfd handler (UFFDIO_REGISTER_MODE_MISSING) serves them when they are touched,
   * at once or, `slow`, later than the VMM's patience with KVM_RUN, so that its signal comes while the vCPU waits.
   */
  readonly userfaultfd?: 'prompt' | 'slow';
}

/** A mapping of a backing into the VMM's address space. */
export interface MappingSpec {
  readonly backing: number;
  /** PROT_* bits. */
  readonly prot: number;
  /** MAP_SHARED, or else MAP_PRIVATE: copy on write. Anonymous memory is always private. */
  readonly shared: boolean;
  /** Where the address shall lie in a huge page: its rest modulo 2 MiB. Anywhere in whole pages when absent. */
  readonly hugeOffset?: number;
}

/** What a VM is made with, apart from its memory. */
export interface VmOptions {
  /** KVM_CREATE_IRQCHIP: a local APIC in the kernel, and with it asynchronous page faults. */
  readonly irqchip?: boolean;
  /** KVM_CAP_EXIT_ON_EMULATION_FAILURE is enabled: no #UD instead of the exit, at whatever privilege level. */
  readonly exitOnEmulationFailure?: boolean;
}

/** The processor mode a guest starts in: real mode, flat 32-bit without paging, 64-bit with given tables. */
export type CpuMode = 'real16' | 'prot32' | 'long64';

/** Where a descriptor table is, and its last byte. */
export interface DescriptorTable {
  readonly base: number;
  readonly limit: number;
}

/** What the vCPU starts with; what is absent is 0 (and rflags 2). */
export interface VcpuSetup {
  readonly mode: CpuMode;
  /** Registers by name: rax … r15, rip, rflags. Values up to 2^53 as numbers, above as bigint. */
  readonly regs?: Readonly<Record<string, number | bigint>>;
  /** Real mode: segment bases by name (es, ss, ds …); the selector is base >> 4. */
  readonly segs?: Readonly<Record<string, number>>;
  /** 64-bit mode: where the page tables are. */
  readonly cr3?: number;
  /** Privilege level the guest starts at, 0 when absent; 3 needs page tables that allow it. */
  readonly cpl?: 0 | 3;
  /** Descriptor tables: base and limit. As after reset (base 0, limit 0xffff) when absent. */
  readonly gdt?: DescriptorTable;
  readonly idt?: DescriptorTable;
  /** Model-specific registers by number (KVM_SET_MSRS). */
  readonly msrs?: Readonly<Record<number, number | bigint>>;
}

/** Registers as a VMM reads them. */
export interface VcpuRegs {
  /** rax rcx rdx rbx rsp rbp rsi rdi r8 … r15. */
  readonly gpr: readonly bigint[];
  readonly rip: bigint;
  readonly rflags: number;
}

/** The dirty bitmap of a slot, one bit a page, lowest page first. */
export interface DirtyLog {
  /** 0 or -errno. */
  readonly ret: number;
  readonly bitmap: Uint8Array;
}

/** How the guest's physical memory is reached: nested paging, or shadow page tables. */
export type Paging = 'npt' | 'shadow';

/** `struct kvm_coalesced_mmio_zone`: stores to this range are kept and not reported one by one. */
export interface MmioZone {
  readonly addr: number;
  readonly size: number;
}

/** One store out of the coalesced ring. */
export interface CoalescedWrite {
  readonly physAddr: number;
  readonly data: Uint8Array;
}

/** `struct kvm_ioeventfd`: a store to this address becomes a signal instead of an exit. */
export interface IoEventfd {
  readonly addr: number;
  /** Bytes of the store: 1, 2, 4 or 8; 0 for any. */
  readonly len: number;
  /** The value it must have; absent for any (no `KVM_IOEVENTFD_FLAG_DATAMATCH`). */
  readonly datamatch?: bigint;
}

/** What a machine runs on: the emulated core, a real kernel in QEMU, this host's /dev/kvm. */
export const ENGINES = ['core', 'qemu', 'kvm'] as const;
export type EngineName = (typeof ENGINES)[number];

/** One VM with one vCPU and its VMM's address space. */
export interface Machine {
  readonly engine: EngineName;
  /** What `observe()` and `life()` can tell; the rest of a run's facts is the same on every engine. */
  readonly observes: ReadonlySet<Observable>;

  /** Makes a backing object and returns its id. */
  createBacking(spec: BackingSpec): number;
  /** mmap(): returns the hva. */
  mmap(spec: MappingSpec): number;
  /** munmap() of a whole mapping. */
  munmap(hva: number): number;
  /** mprotect() of a range of pages. */
  mprotect(hva: number, bytes: number, prot: number): number;
  /** madvise(MADV_DONTNEED) of a range: pages leave this mapping, private copies are lost. */
  madviseDontneed(hva: number, bytes: number): number;
  /** The backing leaves the page cache altogether (drop_caches, swap-out): the next touch needs I/O. */
  dropPageCache(backing: number): number;
  /** mincore(): how many of a mapping's pages are in memory. */
  residentPages(hva: number): number;
  /** The VMM writes through its own mapping, the alias. */
  poke(backing: number, offset: number, bytes: Uint8Array): void;
  /** The VMM reads through its alias. */
  peek(backing: number, offset: number, length: number): Uint8Array;

  /** KVM_SET_USER_MEMORY_REGION. */
  setUserMemoryRegion(region: MemoryRegion): number;
  /** KVM_GET_DIRTY_LOG. */
  getDirtyLog(slot: number): DirtyLog;

  /** KVM_REGISTER_COALESCED_MMIO and KVM_UNREGISTER_COALESCED_MMIO: 0 or -errno. */
  registerCoalescedMmio(zone: MmioZone): number;
  unregisterCoalescedMmio(zone: MmioZone): number;
  /** The stores in the coalesced ring, in order; it is empty afterwards. */
  coalescedMmio(): readonly CoalescedWrite[];
  /** KVM_IOEVENTFD with a fresh eventfd, or taking one away: its number, 0, or -errno. */
  assignIoEventfd(spec: IoEventfd): number;
  deassignIoEventfd(eventfd: number): number;
  /** read() of that eventfd: signals since the last time. */
  readEventfd(eventfd: number): number;

  /** KVM_SET_SREGS and KVM_SET_REGS. */
  setupVcpu(setup: VcpuSetup): void;
  /** KVM_GET_REGS. */
  getRegs(): VcpuRegs;
  /** KVM_SET_REGS for rip alone: for a VMM that steps over an instruction. */
  setRip(rip: number): void;
  /**
   * KVM_RUN: 0 when `exit` is to be looked at, else -errno. An error may come with the exit filled, as -EFAULT does
   * with `KVM_EXIT_MEMORY_FAULT`; where it says nothing more, `exit.reason` is `KVM_EXIT_UNKNOWN`.
   */
  run(): number;
  /** What the last `run()` came back with. */
  readonly exit: ExitRecord;

  /** Counts and digest so far: what `observes` names, and nothing else. */
  observe(): Observation;
  /** The counts alone, where an engine has them at less cost than a digest of all memory. */
  counts?(): Observation;
  /** Calls KVM's tracepoints from now on; for engines that can. */
  traceTo?(to: Tracepoints): void;
  /** The first faults, step by step, up to `limit`; for engines that observe lives. */
  life(limit: number): readonly Life[];
}

/** How a real kernel under test can be lost: it died, or it did not come back. */
export type Loss = 'kernel-panic' | 'hung';

/** Thrown by a machine that has no way to do what it is asked: nothing follows from it about anybody. */
export class MachineCannot extends Error {
  override readonly name = 'MachineCannot';
}

/** Thrown by a machine whose kernel is gone: a finding about the kernel, not a mistake of the program's. */
export class MachineLost extends Error {
  override readonly name = 'MachineLost';
  readonly fate: Loss;

  /** The message has the console's last lines. */
  constructor(fate: Loss, message: string) {
    super(message);
    this.fate = fate;
  }
}
