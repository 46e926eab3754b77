/** A mask ROM: what is written to it goes nowhere. */
import type { Device, DeviceMemory } from './device.ts';

class Unwritable implements Device {
  readonly romd = true;
  readonly romdChanges = 0;
  private readonly memory: DeviceMemory;

  constructor(memory: DeviceMemory) {
    this.memory = memory;
  }

  read(offset: number, len: number, data: Uint8Array): void {
    for (let i = 0; i < len; i++) data[i] = this.memory.get(offset + i);
  }

  write(): void {}
}

/** A ROM for a region's `device`. */
export const unwritable = (memory: DeviceMemory): Device => new Unwritable(memory);
