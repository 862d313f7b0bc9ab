import DormouseSupport
import DormouseWeights
import Glibc
import Testing

@Suite struct CheckpointTests {
  @Test(arguments: try readFixture("golden.json").keys, [Checkpoint.Residency.memory, .mapped])
  func readsEveryByteOfGoodFolders(_ name: String, residency: Checkpoint.Residency) throws {
    let golden = try #require(try readFixture("golden.json")[name])
    let checkpoint = try Checkpoint(folder: fixtures + "/" + name + "/")
    #expect(checkpoint.folder == fixtures + "/" + name)
    #expect(
      checkpoint.files.map { JSON.string(String($0.dropFirst("\(fixtures)/\(name)/".count))) }
        == golden["files"]?.arrayValue)
    let tensors = try #require(golden["tensors"]?.objectValue)
    #expect(Set(checkpoint.tensorNames.map(ExactString.init)) == Set(tensors.keys.map(ExactString.init)))
    #expect(checkpoint.tensorNames.count == tensors.count)
    let store = try checkpoint.load(checkpoint.tensorNames, residency: residency, progress: nil)
    var total = 0
    for (tensor, expected) in tensors {
      let description = try #require(checkpoint.record(of: tensor))
      let bytes = try #require(store.bytes(of: tensor))
      #expect(description.type.rawValue == expected["dtype"]?.stringValue)
      #expect(description.shape.map { JSON.integer(Int64($0)) } == expected["shape"]?.arrayValue)
      #expect(hexadecimal(bytes) == expected["bytes"]?.stringValue, "\(tensor)")
      #expect(UInt(bitPattern: bytes.baseAddress) % UInt(residency == .memory ? 64 : description.type.byteCount) == 0)
      total += bytes.count
    }
    #expect(store.byteCount == total)
    #expect(residency == .mapped || store.residentByteCount == total)
  }

  @Test func refusesEveryBadFolder() throws {
    let cases = try readFixture("expected.json")
    #expect(cases.count >= 90, "\(cases.count)")
    for (name, expected) in cases {
      let found = failure { _ = try Checkpoint(folder: fixtures + "/" + name) }
      let error = try #require(found, "\(name) was accepted")
      #expect("\(error.status)" == expected["status"]?.stringValue, "\(name): \(error)")
      #expect(error.message.hasPrefix(fixtures + "/" + name), "\(name): \(error)")
      for piece in try #require(expected["sentence"]?.arrayValue).compactMap(\.stringValue) {
        #expect(error.message.contains(piece), "\(name): \(error)")
      }
      #expect(!error.message.utf8.contains { $0 < 0x20 }, "\(name) writes a control character")
    }
  }

  @Test func opensASingleFileAndAnIndexByPath() throws {
    let file = try Checkpoint(folder: fixtures + "/good-sharded/model-00002-of-00003.safetensors")
    #expect(file.folder == fixtures + "/good-sharded")
    #expect(file.tensorNames.count == 2)
    let index = try Checkpoint(folder: fixtures + "/good-sharded/model.safetensors.index.json")
    #expect(index.files.count == 3)
    let other = failure { _ = try Checkpoint(folder: fixtures + "/README.md") }
    #expect(other?.status == .unsupported)
  }

  @Test func namesWhatAnIndexListsAndNoShardHas() throws {
    let folder = fixtures + "/good-index-absent-tensor"
    let checkpoint = try Checkpoint(folder: folder)
    #expect(checkpoint.missingTensorNames == ["gone"])
    #expect(!checkpoint.has("gone") && checkpoint.has("moved"))
    #expect(
      checkpoint.absence(of: "gone", expected: [2, 3])
        == Failure(
          .malformed,
          "\(folder): tensor gone is missing; expected shape [2, 3], and by the index it is in \(folder)/b.safetensors, "
            + "which does not have it"))
    #expect(
      checkpoint.absence(of: "other", expected: [2])
        == Failure(.malformed, "\(folder): tensor other is missing; expected shape [2]"))
  }

  /// A model that does not use them may have them; whoever asks for one gets the reason.
  @Test func keepsTensorsOfOtherTypesApart() throws {
    let folder = fixtures + "/good-unread-types"
    let checkpoint = try Checkpoint(folder: folder)
    let reasons = [
      "F4": "type F4 has less than one byte an element, which is not supported",
      "F6_E2M3": "type F6_E2M3 has less than one byte", "F6_E3M2": "type F6_E3M2 has less than one byte",
      "C64": "type C64 is not supported", "F8_E4M3FNUZ": "type F8_E4M3FNUZ is not supported",
      "F8_E5M2FNUZ": "type F8_E5M2FNUZ is not supported", "F33": "unknown type 'F33'; known are F64, F32",
      "f32": "unknown type 'f32'",
    ]
    #expect(Set(checkpoint.unreadTensors.map(\.name)) == Set(reasons.keys.map { "of.\($0)" }))
    for (type, reason) in reasons {
      #expect(checkpoint.has("of.\(type)") && checkpoint.record(of: "of.\(type)") == nil)
      let failure = checkpoint.absence(of: "of.\(type)", expected: [2])
      #expect(failure.status == .unsupported)
      #expect(failure.message.hasPrefix("\(folder)/model.safetensors: tensor 'of.\(type)': \(reason)"), "\(failure)")
    }
  }

  @Test func tellsCanonicallyEquivalentNamesApart() throws {
    let checkpoint = try Checkpoint(folder: fixtures + "/good-single")
    let composed = try #require(checkpoint.record(of: "caf\u{E9}"))
    let decomposed = try #require(checkpoint.record(of: "cafe\u{301}"))
    #expect(composed.offset != decomposed.offset)
  }

  @Test func refusesWhatIsNoFile() throws {
    let folder = try TemporaryFolder()
    let path = folder.path + "/model.safetensors"
    #expect(failure { _ = try Checkpoint(folder: folder.path + "/absent") }?.status == .notFound)
    #expect(failure { _ = try Checkpoint(folder: "") }?.status == .notFound)
    #expect(failure { _ = try Checkpoint(folder: folder.path + "\0x") }?.status == .notFound)
    #expect(symlink("absent", path) == 0)
    #expect(failure { _ = try Checkpoint(folder: folder.path) }?.status == .notFound)
    #expect(unlink(path) == 0 && symlink("model.safetensors", path) == 0)
    #expect(failure { _ = try Checkpoint(folder: folder.path) }?.status == .notFound)
    #expect(unlink(path) == 0 && mkfifo(path, 0o600) == 0)
    #expect(failure { _ = try Checkpoint(folder: folder.path) }?.message.contains("not a regular file") == true)
    #expect(unlink(path) == 0 && mkdir(path, 0o700) == 0)
    let found = failure { _ = try Checkpoint(folder: folder.path) }
    #expect(found == Failure(.inputOutput, "\(path): this is a folder, not a regular file"))
  }

  @Test(.enabled(if: geteuid() != 0, "the superuser reads every file, so permissions cannot be tested as root"))
  func refusesAFileWithoutPermission() throws {
    let folder = try TemporaryFolder()
    try folder.write("model.safetensors", header: "{}", data: [])
    #expect(chmod(folder.path + "/model.safetensors", 0) == 0)
    let found = failure { _ = try Checkpoint(folder: folder.path) }
    #expect(found?.status == .inputOutput)
    #expect(found?.message.contains("model.safetensors: cannot open") == true)
  }

  /// Tensors that share as little as a byte, or leave one out, contradict each other.
  @Test(arguments: [(8, 7, false), (8, 8, true), (8, 9, false), (8, 0, false), (1, 0, false)])
  func tensorsMayNotOverlap(_ end: Int, _ start: Int, _ isRight: Bool) throws {
    let header =
      "{\"a\":{\"dtype\":\"U8\",\"shape\":[\(end)],\"data_offsets\":[0,\(end)]},"
      + "\"b\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[\(start),\(start + 8)]}}"
    let folder = try TemporaryFolder()
    try folder.write("model.safetensors", header: header, data: [UInt8](repeating: 1, count: max(end, start + 8)))
    let found = failure { _ = try Checkpoint(folder: folder.path) }
    #expect((found == nil) == isRight, "\(found?.message ?? "accepted")")
    #expect(found == nil || found?.status == .malformed)
  }

  @Test func survivesEveryTruncationAndManyChanges() throws {
    let bytes = try File(path: fixtures + "/good-empty-tensors/model.safetensors").readAll(limit: 4096)
    let folder = try TemporaryFolder()
    for count in 0..<bytes.count {
      try folder.write("model.safetensors", Array(bytes[..<count]))
      #expect(failure { _ = try Checkpoint(folder: folder.path) }?.status == .malformed, "\(count) bytes")
    }
    for position in 0..<min(bytes.count, 400) {
      for value: UInt8 in [0, 0x22, 0x2D, 0x39, 0x5B, 0x5C, 0x7D, 0xFF] {
        var changed = bytes
        changed[position] = value
        try folder.write("model.safetensors", changed)
        let found = failure {
          let checkpoint = try Checkpoint(folder: folder.path)
          _ = try checkpoint.load(checkpoint.tensorNames, residency: .mapped, progress: nil)
        }
        #expect(found == nil || found?.message.hasPrefix(folder.path) == true)
      }
    }
  }
}

func hexadecimal(_ bytes: UnsafeRawBufferPointer) -> String {
  let digits = Array("0123456789abcdef".utf8)
  return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
}
