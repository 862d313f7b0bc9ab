import DormouseSupport
import DormouseWeights

/// Input: the size of the data of a fictional file (8 bytes, little-endian), then the JSON of its header.
///
/// A header that is accepted must describe the data exactly: tensors back to back, each of its shape's size.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzSafetensors(_ data: UnsafePointer<UInt8>, _ size: Int) -> Int32 {
  guard size >= 8 else { return 0 }
  let input = UnsafeRawBufferPointer(start: data, count: size)
  let announced = input[..<8].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
  let json = UnsafeRawBufferPointer(rebasing: input[8...])
  let fileSize = Int(clamping: announced).addingReportingOverflow(8 + json.count)
  guard !fileSize.overflow else { return 0 }
  do throws(Failure) {
    _ = try SafetensorsHeader.length(prefix: Array(input[..<8]), fileSize: fileSize.partialValue)
  } catch { checkSentence(error) }
  do throws(Failure) {
    let header = try SafetensorsHeader(json: json, fileSize: fileSize.partialValue, fileIndex: 0)
    checkCover(header, from: 8 + json.count, to: fileSize.partialValue)
  } catch { checkSentence(error) }
  return 0
}

private func checkCover(_ header: SafetensorsHeader, from start: Int, to end: Int) {
  var spans: [(offset: Int, byteCount: Int)] = []
  var names: Set<ExactString> = []
  for tensor in header.tensors {
    precondition(tensor.byteCount == tensor.shape.reduce(tensor.type.byteCount, *))
    precondition(names.insert(ExactString(tensor.name)).inserted)
    spans.append((tensor.offset, tensor.byteCount))
  }
  for tensor in header.unread {
    precondition(TensorType(rawValue: tensor.typeName) == nil && tensor.reason.utf8.count > 10)
    precondition(names.insert(ExactString(tensor.name)).inserted)
    spans.append((tensor.offset, tensor.byteCount))
  }
  var covered = start
  for span in spans.sorted(by: { ($0.offset, $0.byteCount) < ($1.offset, $1.byteCount) }) {
    precondition(span.offset == covered)
    covered += span.byteCount
  }
  precondition(covered == end)
}

/// The sentence must say something, and must not hold control characters that the file chose.
private func checkSentence(_ failure: Failure) {
  precondition([.malformed, .unsupported].contains(failure.status) && failure.message.utf8.count > 10)
  precondition(!failure.message.utf8.contains { $0 < 0x20 }, failure.message)
}
