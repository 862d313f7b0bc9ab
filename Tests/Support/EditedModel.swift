import DormouseSupport
import DormouseWeights

/// A model's folder whose tensors can be changed, added and taken away before it is written into a folder of its own.
struct EditedModel {
  struct Tensor {
    var type: String
    var shape: [Int]
    var bytes: [UInt8]
  }

  var tensors: [String: Tensor] = [:]
  var configuration: JSONObject

  init(_ folder: String) throws {
    guard let configuration = try File.readJSON("\(folder)/config.json").objectValue else {
      throw Failure(.malformed, "\(folder)/config.json")
    }
    self.configuration = configuration
    let checkpoint = try Checkpoint(folder: folder)
    let store = try checkpoint.load(
      checkpoint.tensorNames, residency: .memory, pool: try ThreadPool(threadCount: 1), progress: nil)
    for name in checkpoint.tensorNames {
      guard let tensor = checkpoint.record(of: name), let bytes = store.bytes(of: name) else { continue }
      tensors[name] = Tensor(type: tensor.type.rawValue, shape: tensor.shape, bytes: Array(bytes))
    }
  }

  /// Writes `config.json` and `model.safetensors`.
  func write(into folder: TemporaryFolder) throws {
    try folder.write("config.json", Array(JSON.object(configuration).text().utf8))
    var header = JSONObject()
    var data: [UInt8] = []
    for (name, tensor) in tensors.sorted(by: { $0.key < $1.key }) {
      header[name] = [
        "dtype": .string(tensor.type), "shape": .array(tensor.shape.map { .integer(Int64($0)) }),
        "data_offsets": [.integer(Int64(data.count)), .integer(Int64(data.count + tensor.bytes.count))],
      ]
      data += tensor.bytes
    }
    var text = Array(JSON.object(header).text().utf8)
    text += [UInt8](repeating: UInt8(ascii: " "), count: (8 - text.count % 8) % 8)
    let length = (0..<8).map { UInt8(truncatingIfNeeded: text.count >> ($0 * 8)) }
    try folder.write("model.safetensors", length + text + data)
  }

  /// Float32 tensors in 16 bits.
  mutating func narrow(to type: String, where isMeant: (String) -> Bool) {
    for (name, tensor) in tensors where tensor.type == "F32" && isMeant(name) {
      var bytes: [UInt8] = []
      for index in stride(from: 0, to: tensor.bytes.count, by: 4) {
        let bits = tensor.bytes[index..<index + 4].reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        let half = type == "BF16" ? UInt16(bits >> 16) : EditedModel.half(bits)
        bytes += [UInt8(truncatingIfNeeded: half), UInt8(truncatingIfNeeded: half >> 8)]
      }
      tensors[name] = Tensor(type: type, shape: tensor.shape, bytes: bytes)
    }
  }

  /// Of normal numbers in the range of half precision, cut off.
  private static func half(_ bits: UInt32) -> UInt16 {
    let exponent = Int(bits >> 23 & 0xFF) - 127 + 15
    precondition((1...30).contains(exponent))
    return UInt16(bits >> 16 & 0x8000) | UInt16(exponent) << 10 | UInt16(bits >> 13 & 0x3FF)
  }
}
