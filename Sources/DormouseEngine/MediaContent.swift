import DormouseMedia
import DormouseSupport

/// An image, video or audio that sessions hold: first what its tower takes, later the rows that the tower has made.
final class MediaContent: Sendable {
  let modality: Modality
  let hash: ContentHash
  /// Rows, which are positions in a timeline.
  let count: Int

  /// [count, hidden] in float32.
  struct Rows: Sendable {
    let memory: AlignedBuffer
    let reservation: MemoryBudget.Reservation

    var pointer: UnsafePointer<Float>? { memory.bound(to: Float.self).baseAddress.map { UnsafePointer($0) } }
  }

  private enum State {
    case prepared(any PreparedMedia)
    case encoded(Rows)
  }

  private let state: Locked<State>

  init(_ prepared: any PreparedMedia) {
    modality = prepared.modality
    hash = prepared.contentHash
    count = prepared.rowCount
    state = Locked(.prepared(prepared))
  }

  /// What the tower is to encode; nil when it has.
  var prepared: (any PreparedMedia)? {
    state.withLock { if case .prepared(let prepared) = $0 { prepared } else { nil } }
  }

  /// Nil before it is encoded.
  var rows: Rows? {
    state.withLock { if case .encoded(let rows) = $0 { rows } else { nil } }
  }

  /// Takes the rows, and drops what they were made of. Rows that somebody else has brought meanwhile stay.
  func complete(_ rows: Rows) {
    state.withLock { if case .prepared = $0 { $0 = .encoded(rows) } }
  }
}
