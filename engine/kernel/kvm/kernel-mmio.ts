/** The kernel's MMIO bus from here: coalesced zones with their ring beside kvm_run, and eventfds that stores signal. */
import { PAGE_SIZE } from '../../abi.ts';
import type { CoalescedWrite, IoEventfd, MmioZone } from '../../machine.ts';
import { SYS } from '../agent/syscalls.ts';
import type { Remote, RemoteFd } from './remote.ts';
import {
  ioEventfd,
  KVM_IOEVENTFD,
  KVM_IOEVENTFD_FLAG_DEASSIGN,
  KVM_REGISTER_COALESCED_MMIO,
  KVM_UNREGISTER_COALESCED_MMIO,
  mmioZone,
} from './uapi.ts';

/** KVM_COALESCED_MMIO_PAGE_OFFSET: the ring is the third page of a vCPU's mapping. */
const RING_PAGE = 2;
/** `struct kvm_coalesced_mmio_ring`: first, last, and records of gpa, len, pio and eight bytes of data. */
const RING_HEAD = 8;
const RECORD = 24;
const RECORD_DATA = 16;
const ENTRIES = Math.floor((PAGE_SIZE - RING_HEAD) / RECORD);
const EFD_NONBLOCK_CLOEXEC = 0o2004000;

/** The bus of one VM. */
export class KernelMmio {
  readonly #remote: Remote;
  readonly #vm: RemoteFd;
  readonly #ringAt: number;
  readonly #eventfds: { readonly fd: number; readonly spec: IoEventfd; assigned: boolean }[] = [];

  /** `runAt` is where the vCPU's kvm_run is mapped. */
  constructor(remote: Remote, vm: RemoteFd, runAt: number) {
    this.#remote = remote;
    this.#vm = vm;
    this.#ringAt = runAt + RING_PAGE * PAGE_SIZE;
  }

  register(zone: MmioZone): number {
    return this.#call(KVM_REGISTER_COALESCED_MMIO, mmioZone(zone));
  }

  unregister(zone: MmioZone): number {
    return this.#call(KVM_UNREGISTER_COALESCED_MMIO, mmioZone(zone));
  }

  /** Takes the ring's records; the mapping has to be there, so a vCPU. */
  drain(): readonly CoalescedWrite[] {
    const ring = this.#remote.read(this.#ringAt, PAGE_SIZE, 'reading the coalesced ring');
    const view = new DataView(ring.buffer, ring.byteOffset);
    const last = view.getUint32(4, true);
    const writes: CoalescedWrite[] = [];
    for (let i = view.getUint32(0, true); i !== last && writes.length < ENTRIES; i = (i + 1) % ENTRIES) {
      const at = RING_HEAD + i * RECORD;
      const len = view.getUint32(at + 8, true);
      writes.push({
        physAddr: Number(view.getBigUint64(at, true)),
        data: ring.slice(at + RECORD_DATA, at + RECORD_DATA + len),
      });
    }
    const first = new Uint8Array(4);
    new DataView(first.buffer).setUint32(0, last, true);
    this.#remote.write(this.#ringAt, first, 'emptying the coalesced ring');
    return writes;
  }

  assign(spec: IoEventfd): number {
    const fd = this.#remote.ask(SYS.eventfd2, [0, EFD_NONBLOCK_CLOEXEC]);
    if (fd < 0) return fd;
    const ret = this.#call(KVM_IOEVENTFD, ioEventfd(spec, fd, 0));
    if (ret < 0) {
      this.#remote.batch.call(SYS.close, [fd]);
      return ret;
    }
    this.#eventfds.push({ fd, spec, assigned: true });
    return this.#eventfds.length - 1;
  }

  deassign(eventfd: number): number {
    const ENOENT = 2;
    const known = this.#eventfds[eventfd];
    if (known === undefined || !known.assigned) return -ENOENT;
    const ret = this.#call(KVM_IOEVENTFD, ioEventfd(known.spec, known.fd, KVM_IOEVENTFD_FLAG_DEASSIGN));
    if (ret === 0) known.assigned = false;
    return ret;
  }

  /** read(): nothing to read is no signal. */
  signals(eventfd: number): number {
    const known = this.#eventfds[eventfd];
    if (known === undefined) return 0;
    const { batch } = this.#remote;
    const space = batch.space(8);
    const got = batch.call(SYS.read, [known.fd, space.address, 8]);
    const answer = this.#remote.answer();
    if (answer.value(got) !== 8) return 0;
    const bytes = answer.bytes(space);
    return Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  }

  /** Queues what gives the descriptors back. */
  release(remote: Remote): void {
    for (const { fd } of this.#eventfds) remote.batch.call(SYS.close, [fd]);
  }

  #call(request: number, bytes: Uint8Array): number {
    const { batch } = this.#remote;
    return this.#remote.ask(SYS.ioctl, [this.#vm.argument, request, batch.payload(bytes)]);
  }
}
