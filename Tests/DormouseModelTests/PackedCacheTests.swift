import DormouseKernels
import DormouseModel
import DormouseSupport
import DormouseWeights
import Glibc
import Synchronization
import Testing

/// Packed weights that are kept in a file for the next start.
@Suite struct PackedCacheTests {
  @Test(arguments: ["good-v3-group8", "good-kimi-fp8", "good-v2-greedy"], [WeightPrecision.int8, .int4])
  func secondStartReadsTheFile(_ name: String, _ precision: WeightPrecision) throws {
    let model = try TemporaryModel(name)
    let first = try model.open(precision)
    #expect(first.says("it is not there yet") && first.says("wrote") && first.warnings.isEmpty)
    // Files of the same size and time count as the same: whoever packs them again gets other weights.
    try model.spoilWeights()
    let second = try model.open(precision)
    #expect(second.lines.count == 1 && second.says("read") && second.warnings.isEmpty)
    #expect(second.agrees(with: first))
    #expect(try model.caches().count == 1 && model.caches()[0].hasSuffix("-\(precision).panels"))
    let packed = try model.open(precision, keeping: false)
    #expect(!packed.agrees(with: first) && packed.lines.isEmpty)
  }

  @Test func precisionsAndModelsShareAFolder() throws {
    let models = [try TemporaryModel("good-v3-group8"), try TemporaryModel("good-kimi-fp8")]
    let folder = models[0].cacheFolder
    for isSecond in [false, true] {
      for model in models {
        for precision in [WeightPrecision.int8, .int4] {
          let opened = try model.open(precision, in: folder)
          #expect(opened.says(isSecond ? "read" : "wrote") && opened.warnings.isEmpty)
        }
      }
    }
    #expect(try models[0].caches().count == 4)
  }

  enum Damage: CaseIterable { case truncated, emptied, longer, flippedData, flippedChecksum, flippedEnd, otherMagic }

  @Test(arguments: Damage.allCases) func damageIsSeen(_ damage: Damage) throws {
    let model = try TemporaryModel("good-v3-group8")
    let first = try model.open(.int8)
    try model.changeCache { bytes in
      switch damage {
      case .truncated: bytes.removeLast()
      case .emptied: bytes = []
      case .longer: bytes.append(0)
      case .flippedData: bytes[4096 + 1000] ^= 1
      case .flippedChecksum: bytes[4095 - bytes[..<4096].reversed().prefix { $0 == 0 }.count] ^= 0x80
      case .flippedEnd: bytes[bytes.count - 1] ^= 0x10
      case .otherMagic: bytes[0] = 0
      }
    }
    let second = try model.open(.int8)
    #expect(second.warnings.count == 1 && second.says("packing the weights anew") && second.says("wrote"))
    #expect(second.agrees(with: first))
    #expect(try model.open(.int8).lines.count == 1)
  }

  /// Every byte of the fixed part in turn has every bit set: sizes beyond any memory included.
  @Test func hostileHeadersAreRefused() throws {
    let model = try TemporaryModel("good-v3-group8")
    let first = try model.open(.int4)
    for offset in 0..<48 {
      try model.changeCache { $0[offset] = $0[offset] == 0xFF ? 0 : 0xFF }
      let opened = try model.open(.int4)
      #expect(opened.says("packing the weights anew") && opened.agrees(with: first), "byte \(offset)")
    }
  }

  @Test(arguments: [(8, "has version 2, layout"), (12, "layout \(PanelMatrix.layoutRevision + 1)")])
  func otherVersionsAreWrittenAnew(_ offset: Int, _ said: String) throws {
    let model = try TemporaryModel("good-v3-group8")
    _ = try model.open(.int8)
    try model.changeCache { $0[offset] += 1 }
    let second = try model.open(.int8)
    #expect(second.says(said) && second.says("wrote") && second.warnings.isEmpty)
  }

  @Test func changedModelIsPackedAgain() throws {
    let model = try TemporaryModel("good-v3-group8")
    _ = try model.open(.int8)
    try model.spoilWeights(keepsTime: false)
    let changed = try model.open(.int8)
    #expect(changed.says("have changed") && changed.says("wrote") && changed.warnings.isEmpty)
    #expect(try model.open(.int8).agrees(with: changed))
    #expect(try model.caches().count == 1)
  }

  @Test func fileOfAnotherModelIsNotTaken() throws {
    let models = [try TemporaryModel("good-v3-group8"), try TemporaryModel("good-v3-negative-bias")]
    let expected = try models[1].open(.int8, keeping: false)
    _ = try models[0].open(.int8)
    _ = try models[1].open(.int8)
    let foreign = try File(path: models[0].cache()).readAll(limit: 1 << 30)
    try models[1].changeCache { $0 = foreign }
    let opened = try models[1].open(.int8)
    #expect(opened.says("packing the weights anew") && opened.agrees(with: expected))
  }

  @Test func folderThatTakesNoFileIsAWarning() throws {
    let model = try TemporaryModel("good-v3-group8")
    let expected = try model.open(.int8, keeping: false)
    // A file where the folder should be, a folder whose parent is missing, a folder where the file should be.
    for folder in [model.path + "/config.json", model.path + "/missing/folder", model.path + "/nul\0"] {
      let opened = try model.open(.int8, in: folder)
      #expect(opened.warnings.count == 1 && opened.says("packed weights are not kept"))
      #expect(opened.agrees(with: expected))
    }
    _ = try model.open(.int8)
    let cache = try model.cache()
    #expect(unlink(cache) == 0 && mkdir(cache, 0o700) == 0)
    let opened = try model.open(.int8)
    #expect(opened.warnings.count == 2 && opened.agrees(with: expected))
    #expect(try model.caches().count == 1)
    rmdir(cache)
  }

  @Test func secondWriterLeavesTheFirstAlone() throws {
    let model = try TemporaryModel("good-v3-group8")
    _ = try model.open(.int8)
    let cache = try model.cache()
    unlink(cache)
    let other = try ReplacementFile(path: cache, byteCount: 1)
    let opened = try model.open(.int8)
    #expect(opened.says("another process is writing it") && opened.warnings.isEmpty)
    try other.commit()
    #expect(try model.open(.int8).says("it has only 0 bytes"))
  }

  @Test func cancellingLeavesNothing() throws {
    let model = try TemporaryModel("good-v3-group8")
    #expect(throws: Failure(.cancelled, "loading the weights was cancelled")) {
      _ = try model.open(.int8) { done, total in done < total }
    }
    #expect(try model.caches().isEmpty)
  }

  /// Opening does not wait for the file, closing does, and what is read meanwhile is right.
  @Test func modelWorksWhileItsFileIsWritten() throws {
    let model = try TemporaryModel("good-v3-group8")
    let expected = try model.open(.int4, keeping: false).logits
    let lines = TemporaryModel.Lines()
    var loaded: Model? = try model.load(.int4, model.cacheFolder, lines)
    #expect(lines.all.withLock { $0.last?.text.contains("in the background") } == true)
    let logits = try loaded.map { try model.logits(of: $0) }
    #expect(logits == expected)
    // However long ago the file was done: the log hears of it when the model goes, on the thread that lets it go.
    #expect(lines.all.withLock { lines in !lines.contains { $0.text.contains("wrote") } })
    loaded = nil
    #expect(lines.all.withLock { $0.last?.text.contains("wrote") } == true)
    #expect(try model.caches().map { $0.hasSuffix("-int4.panels") } == [true])
  }

  /// Whoever meets the folder while the file is written sees none, or a whole one.
  @Test func twoEnginesShareAFolder() throws {
    let model = try TemporaryModel("good-v3-group8")
    let expected = try model.open(.int8, keeping: false).logits
    for _ in 0..<20 {
      for name in try model.caches() { unlink("\(model.cacheFolder)/\(name)") }
      let lines = TemporaryModel.Lines()
      let first = try model.load(.int8, model.cacheFolder, lines)
      let second = try model.load(.int8, model.cacheFolder, lines)
      #expect(try model.logits(of: first) == expected && model.logits(of: second) == expected)
      #expect(lines.all.withLock { lines in lines.allSatisfy { $0.level > .warning } })
    }
    #expect(try model.open(.int8).says("read"))
  }

  @Test func progressOfAReadEndsAtTheTotal() throws {
    let model = try TemporaryModel("good-v3-group8")
    _ = try model.open(.int8)
    let last = Mutex<(UInt64, UInt64)>((0, 1))
    _ = try model.open(.int8) { done, total in
      last.withLock { last in
        #expect(done >= last.0)
        last = (done, total)
      }
      return true
    }
    last.withLock { last in #expect(last.0 == last.1 && last.1 > 1) }
    #expect(throws: Failure(.cancelled, "loading the weights was cancelled")) {
      _ = try model.open(.int8) { done, total in done < total }
    }
  }
}

/// A copy of a fixture's model in a folder of its own, which goes with this object.
private final class TemporaryModel {
  let path: String
  private let golden: ParityTests.Golden
  var cacheFolder: String { path + "/.dormouse" }
  private var weights: String { path + "/model.safetensors" }

  /// What an opening said and what the model then answers.
  struct Opened {
    let lines: [(level: LogLevel, text: String)]
    let logits: [Float]

    func says(_ text: String) -> Bool { lines.contains { $0.text.contains(text) } }
    func agrees(with other: Opened) -> Bool { logits == other.logits }
    var warnings: [String] { lines.filter { $0.level <= .warning }.map(\.text) }
  }

  init(_ name: String) throws {
    var template = Array("/tmp/dormouse-packed-XXXXXX".utf8CString)
    try #require(mkdtemp(&template) != nil)
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    golden = try ParityTests.Golden(name)
    for file in ["config.json", "model.safetensors"] {
      try Self.write(File(path: Fixtures.path("models/\(name)/\(file)")).readAll(limit: 1 << 30), to: "\(path)/\(file)")
    }
  }

  deinit {
    for folder in [cacheFolder, path] {
      for name in (try? Self.list(folder)) ?? [] { unlink("\(folder)/\(name)") }
      rmdir(folder)
    }
  }

  func open(
    _ precision: WeightPrecision, keeping: Bool = true, in folder: String? = nil, progress: Progress? = nil
  ) throws -> Opened {
    let lines = Lines()
    let logits = try logits(of: load(precision, keeping ? folder ?? cacheFolder : nil, lines, progress))
    // The model is gone, and with it what wrote its file.
    return Opened(lines: lines.all.withLock { $0 }, logits: logits)
  }

  func load(
    _ precision: WeightPrecision, _ folder: String?, _ lines: Lines, _ progress: Progress? = nil
  ) throws -> Model {
    try Model(
      ModelFolder(path, precision: precision), options: ModelOptions(residency: .memory, packedCacheFolder: folder),
      pool: ThreadPool(threadCount: 2), kernels: Kernels.selected(),
      log: Log { level, text in lines.all.withLock { $0.append((level, text)) } }, progress: progress)
  }

  func logits(of model: Model) throws -> [Float] {
    let timeline = try Timeline(model: model, options: DecoderOptions(contextLength: 256))
    return try ParityTests.logits(timeline, Array(golden.ids.prefix(8)), .atOnce, .expanded)
  }

  func caches() throws -> [String] { try Self.list(cacheFolder) }

  func cache() throws -> String {
    let names = try caches()
    try #require(names.count == 1)
    return "\(cacheFolder)/\(names[0])"
  }

  func changeCache(_ body: (inout [UInt8]) -> Void) throws {
    let path = try cache()
    var bytes = try File(path: path).readAll(limit: 1 << 30)
    body(&bytes)
    try Self.write(bytes, to: path)
  }

  /// Changes every sign of some matrices that are packed; the size stays.
  func spoilWeights(keepsTime: Bool = true) throws {
    let time = try File(path: weights).modificationTime
    var bytes = try File(path: weights).readAll(limit: 1 << 30)
    let checkpoint = try Checkpoint(folder: path)
    for name in checkpoint.tensorNames where name.contains("down_proj") && !name.contains("scale") {
      let tensor = try #require(checkpoint.record(of: name))
      let step = tensor.type.byteCount
      for index in stride(from: step - 1, to: tensor.byteCount, by: step) { bytes[tensor.offset + index] ^= 0x80 }
    }
    try Self.write(bytes, to: weights)
    let written = keepsTime ? time : time + 1
    let stamp = timespec(tv_sec: written / 1_000_000_000, tv_nsec: written % 1_000_000_000)
    try #require(utimensat(AT_FDCWD, weights, [stamp, stamp], 0) == 0)
  }

  final class Lines: Sendable {
    let all = Mutex<[(level: LogLevel, text: String)]>([])
  }

  private static func write(_ bytes: [UInt8], to path: String) throws {
    let descriptor = Glibc.open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    try #require(descriptor >= 0)
    defer { close(descriptor) }
    try #require(bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) } == bytes.count)
  }

  private static func list(_ folder: String) throws -> [String] {
    guard let directory = opendir(folder) else { return [] }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
      names.append(
        withUnsafePointer(to: &entry.pointee.d_name) {
          $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        })
    }
    return names.filter { $0 != "." && $0 != ".." }.sorted()
  }
}
