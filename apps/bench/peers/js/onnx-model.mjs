// An ONNX file with a single MatMulBnb4 node (com.microsoft), written by hand: the format is protobuf, and a handful of
// fields suffice. Field numbers are those of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).

const varint = (value) => {
  const bytes = [];
  let rest = BigInt(value);
  do {
    const low = Number(rest & 127n);
    rest >>= 7n;
    bytes.push(rest > 0n ? low | 128 : low);
  } while (rest > 0n);
  return Buffer.from(bytes);
};
const number = (field, value) => Buffer.concat([varint(field << 3), varint(value)]);
const bytes = (field, content) => {
  const body = typeof content === 'string' ? Buffer.from(content) : content;
  return Buffer.concat([varint((field << 3) | 2), varint(body.length), body]);
};
const message = (field, ...parts) => bytes(field, Buffer.concat(parts));

const FLOAT = 1;
const UINT8 = 2;

const intAttribute = (name, value) => message(5, bytes(1, name), number(3, value), number(20, 2));
const valueInfo = (field, name, shape) => {
  const dimensions = shape.map((size) => message(1, number(1, size)));
  return message(field, bytes(1, name), message(2, message(1, number(1, FLOAT), message(2, ...dimensions))));
};
const initializer = (name, type, shape, data) =>
  message(5, ...shape.map((size) => number(1, size)), number(2, type), bytes(8, name), bytes(9, data));

/**
 * A model y [rows, outFeatures] = x [rows, inFeatures] · Wᵀ for W in NF4.
 *
 * @param {{ rows: number, outFeatures: number, inFeatures: number, blockSize: number }} shape
 * @param {Uint8Array} codes two a byte, the first in the high nibble
 * @param {Float32Array} absmax one a block
 */
export function matMulBnb4(shape, codes, absmax) {
  const { rows, outFeatures, inFeatures, blockSize } = shape;
  const node = message(
    1,
    ...['x', 'codes', 'absmax'].map((name) => bytes(1, name)),
    bytes(2, 'y'),
    bytes(4, 'MatMulBnb4'),
    intAttribute('K', inFeatures),
    intAttribute('N', outFeatures),
    intAttribute('block_size', blockSize),
    intAttribute('quant_type', 1), // 0 is FP4, 1 is NF4
    bytes(7, 'com.microsoft'),
  );
  const graph = message(
    7,
    node,
    bytes(2, 'product'),
    initializer('codes', UINT8, [codes.length], Buffer.from(codes.buffer, codes.byteOffset, codes.length)),
    initializer(
      'absmax',
      FLOAT,
      [absmax.length],
      Buffer.from(absmax.buffer, absmax.byteOffset, absmax.byteLength),
    ),
    valueInfo(11, 'x', [rows, inFeatures]),
    valueInfo(12, 'y', [rows, outFeatures]),
  );
  const operators = (domain, version) => message(8, bytes(1, domain), number(2, version));
  return Buffer.concat([number(1, 9), graph, operators('', 17), operators('com.microsoft', 1)]);
}
