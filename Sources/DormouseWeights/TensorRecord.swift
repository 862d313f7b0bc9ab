public import DormouseSupport

/// Where a tensor's bytes are, as the header of its file says it; known before anything is loaded.
public struct TensorRecord: Sendable, Equatable {
  public let name: String
  public let type: TensorType
  /// Row-major; empty for a scalar.
  public let shape: [Int]
  /// The file in `Checkpoint.files`.
  public let fileIndex: Int
  /// Bytes from the start of the file.
  public let offset: Int
  /// The product of `shape` and the bytes of an element.
  public let byteCount: Int
}

extension Checkpoint {
  /// The record of the tensor called `name`, which should have this shape.
  /// - Throws: `Failure(.malformed)` where no file has it or it has another shape, `.unsupported` for a type that is not
  ///   read.
  public func record(of name: String, shape: [Int]) throws(Failure) -> TensorRecord {
    guard let found = record(of: name) else { throw absence(of: name, expected: shape) }
    guard found.shape == shape else { throw wrong(found, "has shape \(found.shape); expected \(shape)") }
    return found
  }

  /// The record of a tensor whose numbers are exact in float32.
  /// - Throws: as `record(of:shape:)`, and `Failure(.unsupported)` for another type than F32, F16 and BF16.
  public func floatRecord(of name: String, shape: [Int]) throws(Failure) -> TensorRecord {
    let found = try record(of: name, shape: shape)
    guard [.float32, .float16, .bfloat16].contains(found.type) else {
      throw wrong(found, "has type \(found.type.rawValue); expected F32, F16 or BF16", .unsupported)
    }
    return found
  }

  /// A failure that names the tensor and its file, and says `what` is wrong with it.
  func wrong(_ tensor: TensorRecord, _ what: String, _ status: Status = .malformed) -> Failure {
    let file = tensor.fileIndex < files.count ? files[tensor.fileIndex] : folder
    return Failure(status, "\(file): tensor \(tensor.name) \(what)")
  }
}
