import DormouseKernels
import DormouseLayers
import DormouseSupport

/// `kv_b_proj` [heads * (nope + v), kvLoraRank], which makes keys and values of a latent: each head's key rows W_k
/// [nope, kvLoraRank], then its value rows W_v [v, kvLoraRank].
enum ExpansionWeights: Sendable {
  /// As the file has it.
  case rows(WeightMatrix)
  /// By heads: W_k transposed [kvLoraRank, nope], as the absorbed form multiplies it, and W_v.
  case panels(keys: [PanelMatrix], values: [PanelMatrix])

  /// - Parameter blocks: cut into keys and values.
  init(_ blocks: LoadedTensors.Blocks) {
    switch blocks {
    case .rows(let matrix): self = .rows(matrix)
    case .panels(let cuts): self = .panels(keys: cuts[0], values: cuts[1])
    }
  }
}

/// One head's part, in one kind of attention.
struct HeadExpansion {
  let weights: ExpansionWeights
  let head: Int
  let nope: Int
  let value: Int
  let kernels: Kernels

  private var firstRow: Int { head * (nope + value) }
  private var keyRows: Range<Int> { firstRow..<firstRow + nope }
  private var valueRows: Range<Int> { firstRow + nope..<firstRow + nope + value }
  /// From a row of a head to the same row of the next.
  private var rowsOfHead: Int { nope + value }

  /// Floats of scratch memory for `count` rows of x at most.
  static func scratchCount(_ a: LatentAttentionConfiguration, count: Int) throws(Failure) -> Int {
    let rounded = try QuantizedRows.byteCount(columns: max(a.qkNopeHeadDimension, a.kvLoraRank), capacity: count)
    return max(
      rounded / MemoryLayout<Float>.stride,
      try Kernels.transposedScratchCount(rows: a.qkNopeHeadDimension, columns: a.kvLoraRank, count: count))
  }

  /// Queries in latent space, `y[i] = x[i] W_k`, for the absorbed form.
  ///
  /// - Parameters:
  ///   - isLast: whether the calling thread has no other head next; else the next one's weights are read ahead.
  ///   - x: [count, nope], `xStride` floats between rows.
  ///   - y: [count, kvLoraRank], `yStride` floats between rows.
  func absorb(
    isLast: Bool, _ x: UnsafePointer<Float>, xStride: Int, count: Int, into y: UnsafeMutablePointer<Float>,
    yStride: Int, scratch: UnsafeMutablePointer<Float>
  ) {
    switch weights {
    case .rows(let matrix):
      kernels.multiplyTransposed(
        matrix, rows: keyRows, following: isLast ? nil : keyRows.lowerBound + rowsOfHead,
        x: FloatMatrix(x, rows: count, columns: nope, stride: xStride), into: y, stride: yStride, scratch: scratch)
    case .panels(let keys, _):
      multiply(keys[head], x, xStride: xStride, count: count, into: y, yStride: yStride, scratch: scratch)
    }
  }

  /// Values of latents, `y[i] = W_v x[i]`. x: [count, kvLoraRank], rows follow each other; y: [count, v].
  func project(
    isLast: Bool, _ x: UnsafePointer<Float>, count: Int, into y: UnsafeMutablePointer<Float>, yStride: Int,
    scratch: UnsafeMutablePointer<Float>
  ) {
    switch weights {
    case .rows(let matrix):
      kernels.multiply(
        matrix, rows: valueRows, following: isLast ? nil : valueRows.lowerBound + rowsOfHead, x: x,
        xStride: matrix.columns, count: count, into: y, yStride: yStride)
    case .panels(_, let values):
      let matrix = values[head]
      multiply(matrix, x, xStride: matrix.columns, count: count, into: y, yStride: yStride, scratch: scratch)
    }
  }

  private func multiply(
    _ matrix: PanelMatrix, _ x: UnsafePointer<Float>, xStride: Int, count: Int, into y: UnsafeMutablePointer<Float>,
    yStride: Int, scratch: UnsafeMutablePointer<Float>
  ) {
    let rounded = QuantizedRows(memory: scratch, columns: matrix.columns, capacity: count)
    kernels.quantize(x, xStride: xStride, count: count, columns: matrix.columns, into: rounded)
    kernels.multiply(matrix, rows: 0..<matrix.rows, x: rounded, count: count, into: y, yStride: yStride)
  }

  /// W_k [nope, kvLoraRank] in float32, for the expanded form.
  func loadKeys(into keys: UnsafeMutablePointer<Float>) {
    switch weights {
    case .rows(let matrix):
      for (index, row) in keyRows.enumerated() {
        kernels.dequantize(matrix, row: row, into: keys + index * matrix.columns)
      }
    case .panels(let panels, _): kernels.dequantizeTransposed(panels[head], into: keys, yRow: panels[head].rows)
    }
  }

  /// W_v transposed [kvLoraRank, v] in float32. scratch: [v, kvLoraRank].
  func loadValues(into values: UnsafeMutablePointer<Float>, scratch: UnsafeMutablePointer<Float>) {
    switch weights {
    case .rows(let matrix):
      for (index, row) in valueRows.enumerated() {
        kernels.dequantize(matrix, row: row, into: scratch + index * matrix.columns)
      }
      kernels.transpose(
        scratch, xRow: matrix.columns, rows: value, columns: matrix.columns, into: values, outRow: value)
    case .panels(_, let panels): kernels.dequantizeTransposed(panels[head], into: values, yRow: value)
    }
  }
}
