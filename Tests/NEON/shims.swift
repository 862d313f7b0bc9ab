// C names for the kernels of one instruction set, compiled together with them: what Tests/NEON/driver.c calls. A matrix
// comes by pointer, since only Swift's own convention takes it by value.
public import CPlatform

@_cdecl("shim_multiply_vectors") public func shimMultiplyVectors(
  _ w: UnsafePointer<platform_matrix>, _ first: Int, _ last: Int, _ x: UnsafePointer<Float>, _ xStride: Int,
  _ count: Int, _ y: UnsafeMutablePointer<Float>, _ yStride: Int, _ scratch: UnsafeMutablePointer<Float>
) { multiplyVectors(w.pointee, first, last, x, xStride, count, y, yStride, scratch) }

@_cdecl("shim_multiply_vectors_scratch") public func shimMultiplyVectorsScratch(_ columns: Int, _ count: Int) -> Int {
  multiplyVectorsScratch(columns, count)
}

@_cdecl("shim_multiply_matrix") public func shimMultiplyMatrix(
  _ w: UnsafePointer<platform_matrix>, _ first: Int, _ last: Int, _ x: UnsafePointer<Float>, _ xStride: Int,
  _ count: Int, _ y: UnsafeMutablePointer<Float>, _ yStride: Int, _ scratch: UnsafeMutablePointer<Float>
) { multiplyMatrix(w.pointee, first, last, x, xStride, count, y, yStride, scratch) }

@_cdecl("shim_multiply_matrix_scratch") public func shimMultiplyMatrixScratch(_ columns: Int, _ count: Int) -> Int {
  multiplyMatrixScratch(columns, count)
}

@_cdecl("shim_multiply_transposed") public func shimMultiplyTransposed(
  _ w: UnsafePointer<platform_matrix>, _ first: Int, _ last: Int, _ x: UnsafePointer<Float>,
  _ y: UnsafeMutablePointer<Float>
) { multiplyTransposed(w.pointee, first, last, x, y) }

@_cdecl("shim_dequantize") public func shimDequantize(
  _ w: UnsafePointer<platform_matrix>, _ row: Int, _ y: UnsafeMutablePointer<Float>
) { dequantize(w.pointee, row, y) }

@_cdecl("shim_rms_norm") public func shimRMSNorm(
  _ x: UnsafePointer<Float>, _ weight: UnsafePointer<Float>, _ epsilon: Float, _ count: Int,
  _ y: UnsafeMutablePointer<Float>
) { rmsNorm(x, weight, epsilon, count, y) }

@_cdecl("shim_softmax") public func shimSoftmax(_ x: UnsafeMutablePointer<Float>, _ count: Int) { softmax(x, count) }

@_cdecl("shim_silu_multiply") public func shimSiLUMultiply(
  _ gate: UnsafeMutablePointer<Float>, _ up: UnsafePointer<Float>, _ count: Int
) { siluMultiply(gate, up, count) }
