// Plain loops behind the final interface; the tuned sources take their place.
public import CPlatform
import Glibc

func element(_ w: platform_matrix, _ r: Int, _ c: Int) -> Float {
  guard let data = w.data else { return 0 }
  let index = r * w.columns + c
  let value: Float
  switch Int(w.type) {
  case 0: value = data.loadUnaligned(fromByteOffset: index * 4, as: Float.self)
  case 1: value = half(data.loadUnaligned(fromByteOffset: index * 2, as: UInt16.self))
  case 2: value = Float(bitPattern: UInt32(data.loadUnaligned(fromByteOffset: index * 2, as: UInt16.self)) << 16)
  default: value = e4m3(data.load(fromByteOffset: index, as: UInt8.self))
  }
  guard let scales = w.scales else { return value }
  let block = (w.first_row + r) / w.row_block * w.scale_columns + c / w.column_block
  if w.scale_type == 1 { return value * scales.loadUnaligned(fromByteOffset: block * 4, as: Float.self) }
  let byte = scales.load(fromByteOffset: block, as: UInt8.self)
  return value * (byte == 0 ? 0x1p-127 : byte == 255 ? .nan : Float(bitPattern: UInt32(byte) << 23))
}
func half(_ bits: UInt16) -> Float {
  let sign = UInt32(bits & 0x8000) << 16
  if bits & 0x7C00 == 0x7C00 { return Float(bitPattern: sign | 0x7F80_0000 | UInt32(bits & 0x3FF) << 13) }
  return Float(bitPattern: sign | UInt32(bits & 0x7FFF) << 13) * 0x1p112
}
func e4m3(_ bits: UInt8) -> Float {
  if bits & 0x7F == 0x7F { return .nan }
  return Float(bitPattern: UInt32(bits & 0x80) << 24 | UInt32(bits & 0x7F) << 20) * 0x1p120
}
@inline(never) public func multiply(
  _ w: platform_matrix, _ first: Int, _ last: Int, _ x: UnsafePointer<Float>, _ xStride: Int, _ count: Int,
  _ y: UnsafeMutablePointer<Float>, _ yStride: Int
) {
  withUnsafeTemporaryAllocation(of: Float.self, capacity: w.columns + 1) { row in
    guard let base = row.baseAddress else { return }
    for r in first..<last {
      dequantize(w, r, base)
      for i in 0..<count { y[i * yStride + r - first] = dot(base, x + i * xStride, w.columns) }
    }
  }
}
@inline(never) public func multiplyTransposed(
  _ w: platform_matrix, _ first: Int, _ last: Int, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) {
  for c in 0..<w.columns { y[c] = 0 }
  for r in first..<last { for c in 0..<w.columns { y[c] += x[r - first] * element(w, r, c) } }
}
@inline(never) public func dequantize(_ w: platform_matrix, _ r: Int, _ y: UnsafeMutablePointer<Float>) {
  for c in 0..<w.columns { y[c] = element(w, r, c) }
}
@inline(never) public func dot(_ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, _ count: Int) -> Float {
  var s0 = SIMD8<Float>(repeating: 0)
  var i = 0
  while i + 8 <= count {
    s0 += UnsafeRawPointer(a + i).loadUnaligned(as: SIMD8<Float>.self)
      * UnsafeRawPointer(b + i).loadUnaligned(as: SIMD8<Float>.self)
    i += 8
  }
  var sum = s0.sum()
  while i < count {
    sum += a[i] * b[i]
    i += 1
  }
  return sum
}
@inline(never) public func addScaled(
  _ y: UnsafeMutablePointer<Float>, _ factor: Float, _ x: UnsafePointer<Float>, _ count: Int
) {
  for i in 0..<count { y[i] += factor * x[i] }
}
@inline(never) public func rmsNorm(
  _ x: UnsafePointer<Float>, _ weight: UnsafePointer<Float>, _ epsilon: Float, _ count: Int,
  _ y: UnsafeMutablePointer<Float>
) {
  let factor = 1 / (dot(x, x, count) / Float(max(1, count)) + epsilon).squareRoot()
  for i in 0..<count { y[i] = x[i] * factor * weight[i] }
}
@inline(never) public func siluMultiply(_ gate: UnsafeMutablePointer<Float>, _ up: UnsafePointer<Float>, _ count: Int) {
  for i in 0..<count { gate[i] = gate[i] / (1 + expf(-gate[i])) * up[i] }
}
@inline(never) public func softmax(_ x: UnsafeMutablePointer<Float>, _ count: Int) {
  var top = -Float.infinity
  for i in 0..<count where x[i] > top { top = x[i] }
  var sum: Float = 0
  for i in 0..<count {
    x[i] = expf(x[i] - top)
    sum += x[i]
  }
  for i in 0..<count { x[i] /= sum }
}
@inline(never) public func attendLatent(
  _ query: UnsafePointer<Float>, _ heads: Int, _ rows: UnsafeRawPointer, _ rowType: Int32, _ rowStride: Int,
  _ count: Int, _ rank: Int, _ rope: Int, _ scale: Float, _ out: UnsafeMutablePointer<Float>
) {
  let width = rank + rope
  for h in 0..<heads {
    let q = query + h * width
    let o = out + h * rank
    for c in 0..<rank { o[c] = 0 }
    var top = -Float.infinity
    var sum: Float = 0
    withUnsafeTemporaryAllocation(of: Float.self, capacity: width + 1) { buffer in
      guard let row = buffer.baseAddress else { return }
      for t in 0..<count {
        var w = platform_matrix()
        w.data = rows
        w.columns = rowStride
        w.type = rowType
        for c in 0..<width { row[c] = element(w, t, c) }
        let score = scale * dot(q, row, width)
        if score > top {
          let factor = expf(top - score)
          for c in 0..<rank { o[c] *= factor }
          sum *= factor
          top = score
        }
        let weight = expf(score - top)
        sum += weight
        for c in 0..<rank { o[c] += weight * row[c] }
      }
    }
    if count > 0 { for c in 0..<rank { o[c] /= sum } }
  }
}
