/** What answers a guest's MMIO: the interface of the VMM's devices. */
import type { Settings } from '../settings.ts';

/** What a device has of its VMM: the memory behind it, as the VMM's alias reaches it, and the guest's view. */
export interface DeviceHost {
  /** Length of the memory in bytes. */
  readonly bytes: number;
  get(offset: number): number;
  set(offset: number, value: number): void;
  /** Lets the guest read the memory directly from now on (ROMD), or takes that away. */
  romd(on: boolean): void;
}

/** One device. Offsets are from the start of its region. */
export interface Device {
  /** A read of `len` bytes (1 to 8): fills `data`. */
  read(offset: number, len: number, data: Uint8Array): void;
  /** A write of `len` bytes. */
  write(offset: number, len: number, data: Uint8Array): void;
}

/** Makes the device of one run; `settings` are the scenario's parameters. The guest starts with direct access. */
export type DeviceFactory = (host: DeviceHost, settings: Settings) => Device;
