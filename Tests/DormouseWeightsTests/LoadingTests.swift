import DormouseSupport
import DormouseWeights
import Glibc
import Synchronization
import Testing

@Suite struct LoadingTests {
  /// Three tensors, the middle one of several read pieces and an odd size, in a file on its own.
  private static let sizes = [3, 9 << 20 | 5, 70]

  private static let contents = sizes.enumerated().map { pattern($1, seed: $0) }

  private static func holds(_ bytes: UnsafeRawBufferPointer, _ index: Int) -> Bool {
    contents[index].withUnsafeBytes { expected in
      guard expected.count == bytes.count, let a = expected.baseAddress, let b = bytes.baseAddress else { return false }
      return memcmp(a, b, bytes.count) == 0
    }
  }

  private static func writeLarge(_ folder: TemporaryFolder, file: String = "model.safetensors", prefix: String = "")
    throws
  {
    var header = ""
    var offset = 0
    var data: [UInt8] = []
    for (index, size) in sizes.enumerated() {
      header += (header.isEmpty ? "{" : ",") + "\"\(prefix)\(index)\":{\"dtype\":\"U8\",\"shape\":[\(size)],"
      header += "\"data_offsets\":[\(offset),\(offset + size)]}"
      data += contents[index]
      offset += size
    }
    try folder.write(file, header: header + "}", data: data)
  }

  private static func pattern(_ count: Int, seed: Int) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
      for index in 0..<count { buffer[index] = UInt8(truncatingIfNeeded: (index % 251) &+ index >> 16 &+ seed) }
      filled = count
    }
  }

  @Test(arguments: [Checkpoint.Residency.memory, .mapped])
  func readsLargeTensorsInPieces(_ residency: Checkpoint.Residency) throws {
    let folder = try TemporaryFolder()
    try LoadingTests.writeLarge(folder)
    let checkpoint = try Checkpoint(folder: folder.path)
    let store = try checkpoint.load(["1", "0", "1"], residency: residency, progress: nil)
    store.prefetch("1")
    store.prefetch("absent")
    for index in 0...1 {
      let bytes = try #require(store.bytes(of: "\(index)"))
      #expect(LoadingTests.holds(bytes, index))
    }
    #expect(store.bytes(of: "2") == nil)
    #expect(store.byteCount == LoadingTests.sizes[0] + LoadingTests.sizes[1])
  }

  @Test(arguments: [1, 2, 7]) func readsSeveralShards(_ threadCount: Int) throws {
    let folder = try TemporaryFolder()
    var map: [String] = []
    for shard in 0..<3 {
      try LoadingTests.writeLarge(folder, file: "\(shard).safetensors", prefix: "\(shard).")
      map += (0..<3).map { "\"\(shard).\($0)\":\"\(shard).safetensors\"" }
    }
    try folder.write("model.safetensors.index.json", Array("{\"weight_map\":{\(map.joined(separator: ","))}}".utf8))
    let checkpoint = try Checkpoint(folder: folder.path)
    let pool = try ThreadPool(threadCount: threadCount)
    let store = try checkpoint.load(checkpoint.tensorNames, residency: .memory, pool: pool, progress: nil)
    for name in checkpoint.tensorNames {
      let index = try #require(name.last?.wholeNumberValue)
      let bytes = try #require(store.bytes(of: name))
      #expect(LoadingTests.holds(bytes, index), "\(name)")
    }
  }

  @Test func reportsProgressOnTheCallingThread() throws {
    let folder = try TemporaryFolder()
    try LoadingTests.writeLarge(folder)
    let checkpoint = try Checkpoint(folder: folder.path)
    let total = UInt64(LoadingTests.sizes.reduce(0, +))
    let caller = pthread_self()
    let seen = Mutex<[UInt64]>([])
    _ = try checkpoint.load(checkpoint.tensorNames, residency: .memory) { done, all in
      #expect(all == total && pthread_equal(caller, pthread_self()) != 0)
      seen.withLock { $0.append(done) }
      return true
    }
    let reports = seen.withLock { $0 }
    #expect(reports.first == 0 && reports.last == total && reports.count >= 2)
    #expect(zip(reports, reports.dropFirst()).allSatisfy(<))
  }

  @Test(arguments: [0, 1, 3]) func stopsWhenProgressSaysSo(_ at: Int) throws {
    let folder = try TemporaryFolder()
    try LoadingTests.writeLarge(folder)
    let checkpoint = try Checkpoint(folder: folder.path)
    let calls = Atomic<Int>(0)
    let found = failure {
      _ = try checkpoint.load(checkpoint.tensorNames, residency: .memory) { done, total in
        calls.wrappingAdd(1, ordering: .relaxed).oldValue < at && done < total
      }
    }
    #expect(found?.status == .cancelled)
    #expect(calls.load(ordering: .relaxed) <= at + 1)
  }

  @Test(arguments: [Checkpoint.Residency.memory, .mapped])
  func namesWhatIsMissingOrChanged(_ residency: Checkpoint.Residency) throws {
    let folder = try TemporaryFolder()
    let path = folder.path + "/model.safetensors"
    try LoadingTests.writeLarge(folder)
    let checkpoint = try Checkpoint(folder: folder.path)
    func load(_ name: String) -> Failure? {
      failure { _ = try checkpoint.load([name], residency: residency, progress: nil) }
    }
    #expect(load("absent") == Failure(.notFound, "\(folder.path): no file has a tensor 'absent'"))
    #expect(truncate(path, 1000) == 0)
    let changed = load("1")
    #expect(changed?.status == .inputOutput)
    #expect(changed?.message.contains("has 1000 now") == true)
    #expect(unlink(path) == 0)
    #expect(load("1")?.status == .notFound)
  }

  /// The file is cut after the load has begun: memory mode must see it and fail.
  @Test func failsWhenAFileShrinksWhileItIsRead() throws {
    let folder = try TemporaryFolder()
    try LoadingTests.writeLarge(folder)
    let path = folder.path + "/model.safetensors"
    let checkpoint = try Checkpoint(folder: folder.path)
    let found = failure {
      _ = try checkpoint.load(checkpoint.tensorNames, residency: .memory) { done, _ in
        done > 0 || truncate(path, 2000) == 0
      }
    }
    #expect(found?.status == .inputOutput)
    #expect(found?.message.contains("became shorter") == true)
  }

  @Test func fakeSizesNeverBecomeMemory() throws {
    // A sparse file of 1 TiB: the header is true, the memory is not there.
    let folder = try TemporaryFolder()
    let size = 1 << 40
    try folder.write(
      "model.safetensors", header: "{\"a\":{\"dtype\":\"F32\",\"shape\":[\(size / 4)],\"data_offsets\":[0,\(size)]}}",
      data: [])
    let path = folder.path + "/model.safetensors"
    let header = try File(path: path).size
    try #require(truncate(path, off_t(header + size)) == 0)
    let checkpoint = try Checkpoint(folder: folder.path)
    let found = failure {
      _ = try checkpoint.load(["a"], residency: .memory) { _, _ in false }
    }
    // A system that promises any memory (vm.overcommit_memory 1) is stopped by the progress instead.
    let overcommit = try File(path: "/proc/sys/vm/overcommit_memory").readAll(limit: 16).first
    #expect(found?.status == (overcommit == UInt8(ascii: "1") ? .cancelled : .outOfMemory))
  }

  @Test func aHeaderOfManyTensorsIsQuick() throws {
    let folder = try TemporaryFolder()
    let count = 20_000
    let members = (0..<count).map {
      "\"model.layers.\($0).weight\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[\($0),\($0 + 1)]}"
    }
    let data = LoadingTests.pattern(count, seed: 1)
    try folder.write("model.safetensors", header: "{\(members.joined(separator: ","))}", data: data)
    let checkpoint = try Checkpoint(folder: folder.path)
    #expect(checkpoint.tensorNames.count == count)
    let store = try checkpoint.load(checkpoint.tensorNames, residency: .memory, progress: nil)
    #expect(store.bytes(of: "model.layers.777.weight")?.first == data[777])
  }
}
