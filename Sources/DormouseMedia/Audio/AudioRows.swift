import DormouseSupport

/// The rows that a tower makes of audio, one window behind the other, in its caller's memory.
struct AudioRows {
  /// [rows of the audio, width].
  private let rows: UnsafeMutableBufferPointer<Float>
  private let width: Int
  /// Rows that were handed out.
  private var count = 0

  /// - Parameters:
  ///   - count: rows of the audio.
  ///   - width: the text model's hidden size.
  /// - Throws: `Failure(.invalidArgument)` for a buffer that has no room for them.
  init(_ rows: UnsafeMutableBufferPointer<Float>, count: Int, width: Int) throws(Failure) {
    let needed = try CheckedSize.product(count, width, of: "the audio's rows")
    guard rows.count >= needed else {
      throw Failure(.invalidArgument, "room for \(rows.count) values of the audio's rows; \(needed) are to be written")
    }
    self.rows = rows
    self.width = width
  }

  /// Where the next `some` rows go.
  /// - Throws: `Failure(.internalError)` when there are more than were announced.
  mutating func next(_ some: Int) throws(Failure) -> UnsafeMutablePointer<Float> {
    guard let base = rows.baseAddress, (count + some) * width <= rows.count else {
      throw Failure(.internalError, "a tower makes more rows than the \(rows.count / width) that there is room for")
    }
    defer { count += some }
    return base + count * width
  }
}
