import DormouseKernels
public import DormouseLayers
public import DormouseSupport

/// The rows that the blocks of an encoder or a decoder pass on, sized once.
public struct TransformerRowsLayout {
  public var layout = ScratchLayout()
  public let hidden, normed, update, query, key, value, attended, wide: Int

  /// - Parameters:
  ///   - rows: rows at a time at most.
  ///   - width: the widest layer between two of hidden size.
  public init(rows: Int, hiddenSize: Int, width: Int) throws(Failure) {
    hidden = try layout.words(rows, hiddenSize)
    normed = try layout.words(rows, hiddenSize)
    update = try layout.words(rows, hiddenSize)
    query = try layout.words(rows, hiddenSize)
    key = try layout.words(rows, hiddenSize)
    value = try layout.words(rows, hiddenSize)
    attended = try layout.words(rows, hiddenSize)
    wide = try layout.words(rows, width)
  }
}

/// The arithmetic that Whisper's encoder and decoder share, and other audio towers: normalise, project, add.
///
/// A layer is `x += attention(norm(x))` and `x += feedForward(norm(x))` (pre-norm).
public struct TransformerBlocks {
  public let queue: ProductQueue
  public let hiddenSize: Int
  /// [rows, hidden]: the residual stream.
  public let hidden: UnsafeMutablePointer<Float>
  /// [rows, hidden]: the stream normalised for the next block.
  public let normed: UnsafeMutablePointer<Float>
  /// [rows, hidden]: what a block adds to the stream.
  public let update: UnsafeMutablePointer<Float>
  /// [rows, heads, head dimension] each.
  public let query: UnsafeMutablePointer<Float>
  public let key: UnsafeMutablePointer<Float>
  public let value: UnsafeMutablePointer<Float>
  public let attended: UnsafeMutablePointer<Float>
  /// [rows, width].
  public let wide: UnsafeMutablePointer<Float>
  /// Where all of them and the rest of a layout lie.
  public let words: UnsafeMutablePointer<Float>
  /// Kept as long as anybody may follow these pointers.
  private let memory: AlignedBuffer

  /// - Throws: `Failure(.outOfMemory)`.
  public init(_ layout: TransformerRowsLayout, hiddenSize: Int, queue: ProductQueue, for purpose: String)
    throws(Failure)
  {
    memory = try AlignedBuffer(byteCount: layout.layout.byteCount(), isZeroed: false, for: purpose)
    guard let words = memory.bound(to: Float.self).baseAddress else {
      throw Failure(.internalError, "\(purpose): no memory")
    }
    self.queue = queue
    self.hiddenSize = hiddenSize
    self.words = words
    hidden = words + layout.hidden
    normed = words + layout.normed
    update = words + layout.update
    query = words + layout.query
    key = words + layout.key
    value = words + layout.value
    attended = words + layout.attended
    wide = words + layout.wide
  }

  /// From `hidden` to `target`.
  public func normalize(_ norm: NormWeights, _ count: Int, into target: UnsafeMutablePointer<Float>) {
    queue.pool.forEachToken(count) { row in
      norm.apply(hidden + row * hiddenSize, into: target + row * hiddenSize, queue.kernels)
    }
  }

  /// Adds `output(attended)` to the stream.
  public func addAttended(_ output: Linear, _ count: Int) {
    product(output, attended, count, into: update)
    addUpdate(count)
  }

  /// Adds `fc2(gelu(fc1(norm(x))))` to the stream.
  public func feedForward(_ weights: TransformerFeedForwardWeights, _ count: Int) {
    normalize(weights.norm, count, into: normed)
    product(weights.up, normed, count, into: wide)
    activate(wide, count, width: weights.up.weight.rows)
    product(weights.down, wide, count, into: update)
    addUpdate(count)
  }

  /// Adds `down(silu(gate) * up)` of the normalised stream, gate and up being the halves of `gateUp`.
  public func gatedFeedForward(_ norm: NormWeights, gateUp: Linear, down: Linear, _ count: Int) {
    let width = down.weight.columns
    normalize(norm, count, into: normed)
    product(gateUp, normed, count, into: wide)
    queue.pool.forEachToken(count) { row in
      let gate = wide + row * 2 * width
      queue.kernels.siluMultiply(gate: gate, up: gate + width, count: width)
    }
    queue.run(down, x: Activations(floats: wide, stride: 2 * width), count: count, y: update)
    addUpdate(count)
  }

  /// `y = W x + b` for rows [count, W.columns].
  public func product(_ linear: Linear, _ x: UnsafePointer<Float>, _ count: Int, into y: UnsafeMutablePointer<Float>) {
    queue.run(linear, x: Activations(floats: x, stride: linear.weight.columns), count: count, y: y)
  }

  /// Several products of the same rows [count, hidden] at once.
  public func products(_ parts: [(Linear, UnsafeMutablePointer<Float>)], _ x: UnsafePointer<Float>, _ count: Int) {
    for (linear, y) in parts {
      queue.add(linear, x: Activations(floats: x, stride: hiddenSize), count: count, y: y)
    }
    queue.run()
  }

  /// GELU of rows [count, width], in place.
  public func activate(_ x: UnsafeMutablePointer<Float>, _ count: Int, width: Int) {
    queue.pool.forEachToken(count) { row in queue.kernels.gelu(x + row * width, count: width) }
  }

  /// Multiplies the queries by what the scores are scaled by.
  public func scaleQueries(_ count: Int, headDimension: Int) {
    let factor = 1 / Float(headDimension).squareRoot()
    queue.pool.forEachToken(count) { row in
      let values = query + row * hiddenSize
      for channel in 0..<hiddenSize { values[channel] *= factor }
    }
  }

  private func addUpdate(_ count: Int) {
    queue.pool.forEachToken(count) { row in
      queue.kernels.addScaled(hidden + row * hiddenSize, 1, update + row * hiddenSize, count: hiddenSize)
    }
  }
}
