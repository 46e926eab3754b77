/**
 * The kernel's own MMIO bus (KVM_MMIO_BUS): what takes an emulated store before userspace hears of it. Coalesced zones
 * keep stores in a ring that the VMM reads when it likes; an ioeventfd turns one into a signal. virt/kvm/kvm_main.c,
 * coalesced_mmio.c and eventfd.c of Linux 6.1.
 */
import { EEXIST, EINVAL, ENOENT, ENOSPC } from '../../../abi.ts';
import type { CoalescedWrite, IoEventfd, MmioZone } from '../../../machine.ts';

/** KVM_COALESCED_MMIO_MAX: records of 24 bytes in a page with a head of 8; one of them always stays free. */
const RING_ENTRIES = Math.floor((4096 - 8) / 24);
/** NR_IOBUS_DEVS. */
const DEVICES_MAX = 1000;
/** vcpu_mmio_write() hands the bus eight bytes at a time. */
const CHUNK = 8;

type Device =
  | { readonly kind: 'zone'; readonly addr: number; readonly size: number }
  | { readonly kind: 'eventfd'; readonly id: number; readonly spec: IoEventfd };

/** The bus of one VM. */
export class MmioBus {
  readonly #devices: Device[] = [];
  readonly #ring: CoalescedWrite[] = [];
  readonly #signals: number[] = [];

  /** Nothing is on the bus: no store needs to be shown to it. */
  get empty(): boolean {
    return this.#devices.length === 0;
  }

  /** KVM_REGISTER_COALESCED_MMIO: 0 or -errno. */
  registerZone({ addr, size }: MmioZone): number {
    return this.#add({ kind: 'zone', addr, size });
  }

  /** KVM_UNREGISTER_COALESCED_MMIO: every zone within the range goes; 0 whether there was one or not. */
  unregisterZone({ addr, size }: MmioZone): number {
    this.#remove((d) => d.kind === 'zone' && d.addr >= addr && d.addr + d.size <= addr + size);
    return 0;
  }

  /** KVM_IOEVENTFD: the eventfd's number, or -errno. */
  assignEventfd(spec: IoEventfd): number {
    if (![0, 1, 2, 4, 8].includes(spec.len)) return -EINVAL;
    if (spec.len === 0 && spec.datamatch !== undefined) return -EINVAL;
    const taken = this.#devices.some((d) => d.kind === 'eventfd' && collides(d.spec, spec));
    if (taken) return -EEXIST;
    const id = this.#signals.length;
    const ret = this.#add({ kind: 'eventfd', id, spec });
    if (ret < 0) return ret;
    this.#signals.push(0);
    return id;
  }

  /** KVM_IOEVENTFD with KVM_IOEVENTFD_FLAG_DEASSIGN: 0 or -errno. */
  deassignEventfd(id: number): number {
    return this.#remove((d) => d.kind === 'eventfd' && d.id === id) ? 0 : -ENOENT;
  }

  /** read() of an eventfd: signals since the last time, which are then gone. */
  readEventfd(id: number): number {
    const signals = this.#signals[id] ?? 0;
    if (signals > 0) this.#signals[id] = 0;
    return signals;
  }

  /** The ring's stores in order; it is empty afterwards. */
  drain(): CoalescedWrite[] {
    return this.#ring.splice(0);
  }

  /** vcpu_mmio_write(): how many bytes of the store the bus took; the rest is for userspace. */
  write(gpa: number, data: Uint8Array): number {
    let handled = 0;
    while (handled < data.length) {
      const chunk = data.subarray(handled, handled + CHUNK);
      if (!this.#take(gpa + handled, chunk)) break;
      handled += chunk.length;
    }
    return handled;
  }

  /** kvm_io_bus_write(): the first device that is there and takes it. */
  #take(addr: number, data: Uint8Array): boolean {
    return this.#devices.some((d) =>
      d.kind === 'zone' ? this.#coalesce(d, addr, data) : this.#signal(d.id, d.spec, addr, data),
    );
  }

  /** coalesced_mmio_write(): a full ring takes nothing, and the store leaves after all. */
  #coalesce(zone: MmioZone, physAddr: number, data: Uint8Array): boolean {
    if (physAddr < zone.addr || physAddr + data.length > zone.addr + zone.size) return false;
    if (this.#ring.length >= RING_ENTRIES - 1) return false;
    this.#ring.push({ physAddr, data: data.slice() });
    return true;
  }

  /** ioeventfd_in_range(): the same address, and width and value where they are asked for. */
  #signal(id: number, spec: IoEventfd, addr: number, data: Uint8Array): boolean {
    if (addr !== spec.addr) return false;
    if (spec.len !== 0 && spec.len !== data.length) return false;
    if (spec.datamatch !== undefined && littleEndian(data) !== spec.datamatch) return false;
    this.#signals[id]! += 1;
    return true;
  }

  #add(device: Device): number {
    if (this.#devices.length >= DEVICES_MAX) return -ENOSPC;
    this.#devices.push(device);
    // The bus is sorted by address; of devices at one address the one that came first is asked first.
    this.#devices.sort((a, b) => addressOf(a) - addressOf(b));
    return 0;
  }

  #remove(which: (d: Device) => boolean): boolean {
    const before = this.#devices.length;
    for (let i = before - 1; i >= 0; i--) if (which(this.#devices[i]!)) this.#devices.splice(i, 1);
    return this.#devices.length < before;
  }
}

const addressOf = (d: Device): number => (d.kind === 'zone' ? d.addr : d.spec.addr);

/** ioeventfd_check_collision(). */
const collides = (a: IoEventfd, b: IoEventfd): boolean =>
  a.addr === b.addr &&
  (a.len === 0 ||
    b.len === 0 ||
    (a.len === b.len &&
      (a.datamatch === undefined || b.datamatch === undefined || a.datamatch === b.datamatch)));

function littleEndian(data: Uint8Array): bigint {
  let value = 0n;
  for (let i = data.length - 1; i >= 0; i--) value = (value << 8n) | BigInt(data[i]!);
  return value;
}
