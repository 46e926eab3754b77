/** What answers a guest's MMIO: the interface of the VMM's devices. */
import type { AnyParams } from '../params.ts';

/** The memory behind a device, as the VMM's alias reaches it. */
export interface DeviceMemory {
  /** Length in bytes. */
  readonly bytes: number;
  get(offset: number): number;
  set(offset: number, value: number): void;
}

/** One device. Offsets are from the start of its region. */
export interface Device {
  /** A read of `len` bytes (1 to 8): fills `data`. */
  read(offset: number, len: number, data: Uint8Array): void;
  /** A write of `len` bytes. */
  write(offset: number, len: number, data: Uint8Array): void;
  /** True while the guest may read the memory directly (ROMD); the VMM then gives it a slot. */
  readonly romd: boolean;
  /** How often `romd` changed: what a VMM with slots pays for. */
  readonly romdChanges: number;
}

/** Makes the device of one run; `params` are the scenario's. */
export type DeviceFactory = (memory: DeviceMemory, params: AnyParams) => Device;
