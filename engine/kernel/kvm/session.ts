/**
 * One agent with /dev/kvm open and everything learnt that every VM needs: what the vCPU supports, how it looks after
 * reset. One VM at a time.
 */
import { Batch, CallFailed, type Result } from '../agent/records.ts';
import { SYS } from '../agent/syscalls.ts';
import type { Channel } from '../host/channel.ts';
import { KernelUnfit } from '../image/kernel-files.ts';
import { Remote } from './remote.ts';
import {
  CPUID_BYTES,
  CPUID_ENTRIES,
  KVM_API_VERSION,
  KVM_CREATE_VCPU,
  KVM_CREATE_VM,
  KVM_GET_API_VERSION,
  KVM_GET_SREGS,
  KVM_GET_SUPPORTED_CPUID,
  KVM_GET_VCPU_MMAP_SIZE,
  SREGS_BYTES,
  u64s,
} from './uapi.ts';

/** Memory of the agent's that outlives a batch: the CPUID table. */
export const SCRATCH_AT = 0x2000_0000;
const SCRATCH_BYTES = 1 << 20;
/** SIGALRM in a signal set. */
export const SIGALRM_SET = 1n << 13n;

const PROT_RW = 3;
/** mmap() flags. */
export const MAP_SHARED = 1;
export const MAP_PRIVATE = 2;
export const MAP_FIXED = 0x10;
export const MAP_ANONYMOUS = 0x20;

const O_RDWR = 2;
const O_CLOEXEC = 0o2000000;
const SIG_BLOCK = 0;
const ENOENT = 2;
const EACCES = 13;
const EPERM = 1;

/** Everything a VM is made from. */
export interface Session {
  readonly engine: 'qemu' | 'kvm';
  readonly channel: Channel;
  /** The agent's process id where it runs. */
  readonly pid: number;
  readonly kvm: number;
  /** Bytes of a vCPU's kvm_run mapping. */
  readonly runBytes: number;
  /** `struct kvm_sregs` after reset. */
  readonly sregs: Uint8Array;
  /** A disk whose pages can leave memory; absent where the kernel has none. */
  readonly disk?: number;
  /** `uname -r` and more: /proc/version. */
  readonly version: string;
  /** TSC deltas are counts of instructions. */
  readonly counts: boolean;
}

/** How a session is opened. */
export interface SessionOptions {
  readonly engine: 'qemu' | 'kvm';
  /** The kernel's name in messages. */
  readonly where: string;
  /** The path of a disk, or of a file on one, where the agent runs. */
  readonly disk: string;
  /** TSC deltas are counts of instructions. */
  readonly counts: boolean;
}

/** Opens /dev/kvm through an agent. */
export function openSession(channel: Channel, options: SessionOptions): Session {
  const { engine, where, disk, counts } = options;
  const b = new Batch();
  const pid = b.call(SYS.getpid, []);
  const kvm = b.call(SYS.open, [b.text('/dev/kvm'), O_RDWR | O_CLOEXEC]);
  const api = b.call(SYS.ioctl, [kvm, KVM_GET_API_VERSION, 0]);
  const runBytes = b.call(SYS.ioctl, [kvm, KVM_GET_VCPU_MMAP_SIZE, 0]);
  const diskFd = b.call(SYS.open, [b.text(disk), O_RDWR | O_CLOEXEC]);
  const set = b.payload(u64s([SIGALRM_SET]));
  b.call(SYS.rt_sigprocmask, [SIG_BLOCK, set, 0, 8], 'blocking SIGALRM');
  const map = [SCRATCH_AT, SCRATCH_BYTES, PROT_RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0];
  b.call(SYS.mmap, map, 'mapping memory for the agent');
  const answer = channel.send(b);
  const of = (r: Result): number => answer.value(r);
  if (of(kvm) < 0) throw new KernelUnfit(`${where}: ${whyNoKvm(-of(kvm))}`);
  if (of(api) !== KVM_API_VERSION)
    throw new KernelUnfit(`${where}: KVM's API version is ${of(api)}, and ${KVM_API_VERSION} is needed`);
  const session = {
    engine,
    channel,
    pid: of(pid),
    kvm: of(kvm),
    runBytes: of(runBytes),
    version: readFile(channel, '/proc/version').trim(),
    counts,
    ...(of(diskFd) < 0 ? {} : { disk: of(diskFd) }),
  };
  checkMemfd(channel, where);
  return { ...session, sregs: learnVcpu(session, where) };
}

/** One line that says what is the matter with /dev/kvm, and what to do. */
function whyNoKvm(errno: number): string {
  if (errno === ENOENT)
    return 'there is no /dev/kvm (load kvm_amd or kvm_intel, or turn virtualisation on in the firmware; `--kernel PATH` needs neither)';
  if (errno === EACCES || errno === EPERM)
    return '/dev/kvm may not be opened (join the group kvm, or leave the sandbox that forbids it)';
  return `/dev/kvm cannot be opened: errno ${errno}`;
}

/** A whole file of the agent's, as text. */
function readFile(channel: Channel, path: string): string {
  const CHUNK = 1 << 20;
  const open = new Batch();
  const fd = open.call(SYS.open, [open.text(path), 0], `opening ${path}`);
  const number = channel.send(open).value(fd);
  const parts: Buffer[] = [];
  for (;;) {
    const b = new Batch();
    const space = b.space(CHUNK);
    const got = b.call(SYS.read, [number, space.address, CHUNK], `reading ${path}`);
    const answer = channel.send(b);
    if (answer.value(got) === 0) break;
    parts.push(Buffer.from(answer.bytes(space).subarray(0, answer.value(got))));
  }
  const close = new Batch();
  close.call(SYS.close, [number]);
  channel.send(close);
  return Buffer.concat(parts).toString('latin1');
}

function checkMemfd(channel: Channel, where: string): void {
  const b = new Batch();
  const fd = b.call(SYS.memfd_create, [b.text('faultline'), 0], 'memfd_create()');
  b.call(SYS.close, [fd]);
  try {
    channel.send(b);
  } catch (error) {
    if (!(error instanceof CallFailed)) throw error;
    throw new KernelUnfit(`${where} lacks CONFIG_MEMFD_CREATE (${error.message})`);
  }
}

/** Makes a VM to see what a vCPU looks like, and leaves the supported CPUID in the agent's scratch memory. */
function learnVcpu(session: Pick<Session, 'channel' | 'pid' | 'kvm'>, where: string): Uint8Array {
  const { kvm } = session;
  const remote = new Remote(session.channel, session.pid);
  const entries = new Uint8Array(CPUID_BYTES);
  new DataView(entries.buffer).setUint32(0, CPUID_ENTRIES, true);
  remote.write(SCRATCH_AT, entries, 'process_vm_writev()');
  const { batch } = remote;
  batch.call(SYS.ioctl, [kvm, KVM_GET_SUPPORTED_CPUID, SCRATCH_AT], 'KVM_GET_SUPPORTED_CPUID');
  const vm = batch.call(SYS.ioctl, [kvm, KVM_CREATE_VM, 0], 'KVM_CREATE_VM');
  const vcpu = batch.call(SYS.ioctl, [vm, KVM_CREATE_VCPU, 0], 'KVM_CREATE_VCPU');
  const sregs = batch.space(SREGS_BYTES);
  batch.call(SYS.ioctl, [vcpu, KVM_GET_SREGS, sregs.address], 'KVM_GET_SREGS');
  batch.call(SYS.close, [vcpu]);
  batch.call(SYS.close, [vm]);
  try {
    return remote.answer().bytes(sregs);
  } catch (error) {
    if (!(error instanceof CallFailed)) throw error;
    const hint = error.message.startsWith('process_vm') ? ' lacks CONFIG_CROSS_MEMORY_ATTACH' : '';
    throw new KernelUnfit(`${where}${hint}: ${error.message}`);
  }
}
