/** The kernel's MMIO bus: what it takes, what it leaves to userspace, and where it ends. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { EEXIST, EINVAL, ENOENT, ENOSPC } from '../../../abi.ts';
import { MmioBus } from './mmio-bus.ts';

const store = (...data: number[]): Uint8Array => Uint8Array.from(data);

describe('coalesced zones', () => {
  test('the ring takes 169 stores, and the next one leaves until it is read', () => {
    const bus = new MmioBus();
    bus.registerZone({ addr: 0x1000, size: 0x1000 });
    let taken = 0;
    while (bus.write(0x1000, store(1)) === 1) taken++;
    expect(taken).toBe(169);
    expect(bus.drain()).toHaveLength(169);
    expect(bus.write(0x1000, store(1))).toBe(1);
  });

  test('a store that sticks out of the zone leaves whole', () => {
    const bus = new MmioBus();
    bus.registerZone({ addr: 0x1000, size: 0x10 });
    expect([bus.write(0x100c, store(1, 2, 3, 4)), bus.write(0x100d, store(1, 2, 3, 4))]).toEqual([4, 0]);
  });

  test('of a wide store the bus may take the first eight bytes only', () => {
    const bus = new MmioBus();
    bus.registerZone({ addr: 0x1000, size: 8 });
    expect(bus.write(0x1000, new Uint8Array(16))).toBe(8);
  });

  test('unregistering a range takes the zones within it away', () => {
    const bus = new MmioBus();
    bus.registerZone({ addr: 0x1000, size: 0x10 });
    bus.registerZone({ addr: 0x1010, size: 0x10 });
    bus.unregisterZone({ addr: 0x1000, size: 0x20 });
    expect(bus.empty).toBe(true);
  });

  test('stores come out as they went in', () => {
    const data = fc.uint8Array({ minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(0xff0), data), { maxLength: 169 }), (stores) => {
        const bus = new MmioBus();
        bus.registerZone({ addr: 0, size: 0x1000 });
        for (const [at, bytes] of stores) expect(bus.write(at, bytes)).toBe(bytes.length);
        expect(bus.drain()).toEqual(stores.map(([physAddr, bytes]) => ({ physAddr, data: bytes })));
      }),
    );
  });
});

describe('ioeventfd', () => {
  test('address, width and value have to match where they are asked for', () => {
    const bus = new MmioBus();
    const exact = bus.assignEventfd({ addr: 0x10, len: 2, datamatch: 0x0201n });
    const any = bus.assignEventfd({ addr: 0x20, len: 0 });
    expect(bus.write(0x10, store(1, 2))).toBe(2);
    expect(bus.write(0x10, store(1, 3))).toBe(0);
    expect(bus.write(0x10, store(1))).toBe(0);
    expect(bus.write(0x11, store(1, 2))).toBe(0);
    expect(bus.write(0x20, store(9, 9, 9, 9))).toBe(4);
    expect([bus.readEventfd(exact), bus.readEventfd(exact), bus.readEventfd(any)]).toEqual([1, 0, 1]);
  });

  test('what collides is -EEXIST, what makes no sense -EINVAL, what is not there -ENOENT', () => {
    const bus = new MmioBus();
    bus.assignEventfd({ addr: 0x10, len: 4, datamatch: 1n });
    expect(bus.assignEventfd({ addr: 0x10, len: 4, datamatch: 2n })).toBeGreaterThan(0);
    expect(bus.assignEventfd({ addr: 0x10, len: 4, datamatch: 1n })).toBe(-EEXIST);
    expect(bus.assignEventfd({ addr: 0x10, len: 4 })).toBe(-EEXIST);
    expect(bus.assignEventfd({ addr: 0x10, len: 0 })).toBe(-EEXIST);
    expect(bus.assignEventfd({ addr: 0x30, len: 3 })).toBe(-EINVAL);
    expect(bus.assignEventfd({ addr: 0x30, len: 0, datamatch: 1n })).toBe(-EINVAL);
    expect(bus.deassignEventfd(99)).toBe(-ENOENT);
  });

  test('a thousand devices and no more', () => {
    const bus = new MmioBus();
    for (let i = 0; i < 1000; i++) expect(bus.assignEventfd({ addr: i, len: 1 })).toBe(i);
    expect(bus.assignEventfd({ addr: 1000, len: 1 })).toBe(-ENOSPC);
  });
});
