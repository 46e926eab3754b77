/** A mask ROM: what is written to it goes nowhere. */
import type { Device, DeviceHost } from './device.ts';

class Unwritable implements Device {
  private readonly host: DeviceHost;

  constructor(host: DeviceHost) {
    this.host = host;
  }

  read(offset: number, len: number, data: Uint8Array): void {
    for (let i = 0; i < len; i++) data[i] = this.host.get(offset + i);
  }

  write(): void {}
}

/** A ROM for a region's `device`. */
export const unwritable = (host: DeviceHost): Device => new Unwritable(host);
