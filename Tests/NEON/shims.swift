// C names for the kernels of one instruction set, compiled together with them: what Tests/NEON/driver.c calls. A matrix
// comes by pointer, since only Swift's own convention takes it by value.
public import CPlatform

@_cdecl("shim_multiply_vectors") public func shimMultiplyVectors(
  _ w: UnsafePointer<platform_matrix>, _ first: Int, _ last: Int, _ x: UnsafePointer<Float>, _ xStride: Int,
  _ count: Int, _ y: UnsafeMutablePointer<Float>, _ yStride: Int, _ scratch: UnsafeMutablePointer<Float>
) { multiplyVectors(w.pointee, first, last, -1, x, xStride, count, y, yStride, scratch) }

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
) { multiplyTransposed(w.pointee, first, last, -1, x, y) }

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

@_cdecl("shim_pack_activations") public func shimPackActivations(
  _ x: UnsafePointer<Float>, _ xStride: Int, _ count: Int, _ columns: Int, _ packed: UnsafeMutablePointer<Float>
) { packActivations(x, xStride, count, columns, packed) }

@_cdecl("shim_multiply_packed") public func shimMultiplyPacked(
  _ w: UnsafePointer<platform_matrix>, _ first: Int, _ last: Int, _ packed: UnsafePointer<Float>, _ count: Int,
  _ y: UnsafeMutablePointer<Float>, _ yStride: Int, _ scratch: UnsafeMutablePointer<Float>
) { multiplyPacked(w.pointee, first, last, packed, count, y, yStride, scratch) }

@_cdecl("shim_multiply_packed_scratch") public func shimMultiplyPackedScratch() -> Int { multiplyPackedScratch() }

@_cdecl("shim_multiply_panels") public func shimMultiplyPanels(
  _ w: UnsafePointer<platform_panels>, _ first: Int, _ last: Int, _ x: UnsafePointer<platform_activations>,
  _ count: Int, _ y: UnsafeMutablePointer<Float>, _ yStride: Int
) { multiplyPanels(w.pointee, first, last, x.pointee, count, y, yStride) }

@_cdecl("shim_pack_panel") public func shimPackPanel(
  _ type: Int32, _ groups: Int, _ rows: UnsafePointer<Float>, _ stride: Int, _ panel: UnsafeMutableRawPointer,
  _ scratch: UnsafeMutablePointer<Float>
) { packPanel(type, groups, rows, stride, panel, scratch) }

@_cdecl("shim_pack_panel_scratch") public func shimPackPanelScratch(_ groups: Int) -> Int { packPanelScratch(groups) }

@_cdecl("shim_panel_byte_count") public func shimPanelByteCount(_ type: Int32, _ groups: Int) -> Int {
  panelByteCount(type, groups)
}

@_cdecl("shim_unpack_row") public func shimUnpackRow(
  _ w: UnsafePointer<platform_panels>, _ row: Int, _ columns: Int, _ y: UnsafeMutablePointer<Float>
) { unpackRow(w.pointee, row, columns, y) }

@_cdecl("shim_quantize_activations") public func shimQuantizeActivations(
  _ x: UnsafePointer<Float>, _ columns: Int, _ values: UnsafeMutablePointer<Int8>,
  _ scales: UnsafeMutablePointer<Float>, _ offsets: UnsafeMutablePointer<Int32>
) { quantizeActivations(x, columns, values, scales, offsets) }
