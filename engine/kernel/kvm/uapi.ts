/**
 * The system-call interface of KVM as bytes: request numbers and the layouts of its structures on x86-64.
 * Source: include/uapi/linux/kvm.h and arch/x86/include/uapi/asm/kvm.h of Linux 6.1.
 */
import type { CpuMode, IoEventfd, MmioZone, VcpuRegs, VcpuSetup } from '../../machine.ts';

/** ioctl requests, of /dev/kvm, of a VM and of a vCPU. */
export const KVM_GET_API_VERSION = 0xae00;
export const KVM_CREATE_VM = 0xae01;
export const KVM_GET_VCPU_MMAP_SIZE = 0xae04;
export const KVM_GET_SUPPORTED_CPUID = 0xc008_ae05;
export const KVM_CREATE_VCPU = 0xae41;
export const KVM_GET_DIRTY_LOG = 0x4010_ae42;
export const KVM_SET_USER_MEMORY_REGION = 0x4020_ae46;
export const KVM_SET_TSS_ADDR = 0xae47;
export const KVM_REGISTER_COALESCED_MMIO = 0x4010_ae67;
export const KVM_UNREGISTER_COALESCED_MMIO = 0x4010_ae68;
export const KVM_IOEVENTFD = 0x4040_ae79;
export const KVM_GET_REGS = 0x8090_ae81;
export const KVM_SET_REGS = 0x4090_ae82;
export const KVM_GET_SREGS = 0x8138_ae83;
export const KVM_SET_SREGS = 0x4138_ae84;
export const KVM_SET_SIGNAL_MASK = 0x4004_ae8b;
export const KVM_SET_CPUID2 = 0x4008_ae90;
export const KVM_SET_XCRS = 0x4188_aea7;

/** The one version there is. */
export const KVM_API_VERSION = 12;
/** `struct kvm_cpuid2` with room for this many entries of 40 bytes. */
export const CPUID_ENTRIES = 256;
export const CPUID_BYTES = 8 + CPUID_ENTRIES * 40;
export const REGS_BYTES = 144;
export const SREGS_BYTES = 312;

/** Registers in the order of `struct kvm_regs`. */
const KVM_REGS = 'rax rbx rcx rdx rsi rdi rsp rbp r8 r9 r10 r11 r12 r13 r14 r15 rip rflags'.split(' ');
/** Where the machine's order (rax rcx rdx rbx rsp rbp rsi rdi r8 …) is found in it. */
const GPR_AT = [0, 2, 3, 1, 6, 7, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15];
const RIP_AT = 16;
const RFLAGS_AT = 17;

/** `struct kvm_userspace_memory_region`. */
export function memoryRegion(
  slot: number,
  flags: number,
  gpa: number,
  size: number,
  hva: number,
): Uint8Array {
  const view = new DataView(new ArrayBuffer(32));
  view.setUint32(0, slot, true);
  view.setUint32(4, flags, true);
  [gpa, size, hva].forEach((value, i) => {
    view.setBigUint64(8 + 8 * i, BigInt(value), true);
  });
  return new Uint8Array(view.buffer);
}

/** `struct kvm_dirty_log`. */
export function dirtyLog(slot: number, bitmapAt: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(16));
  view.setUint32(0, slot, true);
  view.setBigUint64(8, BigInt(bitmapAt), true);
  return new Uint8Array(view.buffer);
}

/** `struct kvm_coalesced_mmio_zone`. */
export function mmioZone({ addr, size }: MmioZone): Uint8Array {
  const view = new DataView(new ArrayBuffer(16));
  view.setBigUint64(0, BigInt(addr), true);
  view.setUint32(8, size, true);
  return new Uint8Array(view.buffer);
}

/** Flags of `struct kvm_ioeventfd`. */
const KVM_IOEVENTFD_FLAG_DATAMATCH = 1;
export const KVM_IOEVENTFD_FLAG_DEASSIGN = 4;

/** `struct kvm_ioeventfd`. */
export function ioEventfd({ addr, len, datamatch }: IoEventfd, fd: number, flags: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(64));
  view.setBigUint64(0, datamatch ?? 0n, true);
  view.setBigUint64(8, BigInt(addr), true);
  view.setUint32(16, len, true);
  view.setInt32(20, fd, true);
  view.setUint32(24, flags | (datamatch === undefined ? 0 : KVM_IOEVENTFD_FLAG_DATAMATCH), true);
  return new Uint8Array(view.buffer);
}

/** `struct kvm_regs` of a setup: rflags 2 unless said, everything else 0. */
export function regsOf(regs: VcpuSetup['regs']): Uint8Array {
  return u64s(KVM_REGS.map((name) => regs?.[name] ?? (name === 'rflags' ? 2 : 0)));
}

/** `struct kvm_regs` as the machine's registers. */
export function readRegs(bytes: Uint8Array): VcpuRegs {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const at = (i: number): bigint => view.getBigUint64(8 * i, true);
  return { gpr: GPR_AT.map(at), rip: at(RIP_AT), rflags: Number(at(RFLAGS_AT)) };
}

/** The same bytes with another rip. */
export function withRip(bytes: Uint8Array, rip: number): Uint8Array {
  const copy = bytes.slice();
  new DataView(copy.buffer).setBigUint64(8 * RIP_AT, BigInt(rip), true);
  return copy;
}

const SEGMENTS = ['cs', 'ds', 'es', 'fs', 'gs', 'ss'];
const SEGMENT_BYTES = 24;
const CR0_AT = 224;
const CR3_AT = 240;
const CR4_AT = 248;
const EFER_AT = 264;
/** CR0: PE MP ET NE, and PG WP on top of it. */
const CR0_PROTECTED = 0x33n;
const CR0_PAGING = 0x8001_0000n;
const CR4_PAE = 0x20n;
/** CR4: OSFXSR OSXMMEXCPT. */
const CR4_SSE = 0x600n;
const CR4_OSXSAVE = 0x4_0000n;
/** EFER: LME LMA. */
const EFER_LONG = 0x500n;
/** Where page tables are unless the setup says so. */
const DEFAULT_CR3 = 0x8000;

/** `struct kvm_sregs` of a mode, made from that of a vCPU after reset. */
export function sregsOf(reset: Uint8Array, setup: VcpuSetup): Uint8Array {
  const bytes = reset.slice();
  const view = new DataView(bytes.buffer);
  const or = (at: number, bits: bigint): void =>
    view.setBigUint64(at, view.getBigUint64(at, true) | bits, true);
  or(CR4_AT, CR4_SSE);
  if (setup.mode === 'real16') {
    SEGMENTS.forEach((name, i) => {
      const base = setup.segs?.[name] ?? 0;
      view.setBigUint64(SEGMENT_BYTES * i, BigInt(base), true);
      view.setUint16(SEGMENT_BYTES * i + 12, base >> 4, true);
    });
    return bytes;
  }
  SEGMENTS.forEach((name, i) => {
    flatSegment(view, SEGMENT_BYTES * i, name === 'cs', setup.mode);
  });
  view.setBigUint64(CR0_AT, CR0_PROTECTED, true);
  if (setup.mode === 'long64') {
    or(CR0_AT, CR0_PAGING);
    or(CR4_AT, CR4_PAE);
    or(EFER_AT, EFER_LONG);
    view.setBigUint64(CR3_AT, BigInt(setup.cr3 ?? DEFAULT_CR3), true);
  }
  return bytes;
}

/** The same bytes with CR4.OSXSAVE, which not every processor lets be set. */
export function withXsave(sregs: Uint8Array): Uint8Array {
  const bytes = sregs.slice();
  const view = new DataView(bytes.buffer);
  view.setBigUint64(CR4_AT, view.getBigUint64(CR4_AT, true) | CR4_OSXSAVE, true);
  return bytes;
}

/** `struct kvm_xcrs`: XCR0 with x87, SSE and AVX state. */
export function xcr0(): Uint8Array {
  const bytes = new Uint8Array(392);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 1, true);
  view.setBigUint64(16, 7n, true);
  return bytes;
}

/** `struct kvm_segment`: base 0, limit 4 GiB, present. */
function flatSegment(view: DataView, at: number, code: boolean, mode: CpuMode): void {
  const long = code && mode === 'long64' ? 1 : 0;
  for (let i = 0; i < SEGMENT_BYTES; i += 8) view.setBigUint64(at + i, 0n, true);
  view.setUint32(at + 8, 0xffff_ffff, true);
  view.setUint16(at + 12, code ? 8 : 16, true);
  view.setUint8(at + 14, code ? 11 : 3);
  view.setUint8(at + 15, 1); // present
  view.setUint8(at + 17, 1 - long); // db
  view.setUint8(at + 18, 1); // s
  view.setUint8(at + 19, long); // l
  view.setUint8(at + 20, 1); // g
}

/** Numbers as 64-bit little-endian bytes. */
export function u64s(values: readonly (number | bigint)[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(8 * values.length));
  values.forEach((value, i) => {
    view.setBigUint64(8 * i, BigInt.asUintN(64, BigInt(value)), true);
  });
  return new Uint8Array(view.buffer);
}
