@testable import DormouseEngine
import DormouseSupport
import Glibc
import Testing

/// What is given in a model folder's place now and then is named, with what to do.
@Suite struct ModelPathTests {
  private static let whisper = Fixtures.path("Fixtures/whisper/good-multilingual")

  private func opening(_ path: String, withoutWeights: Bool = false) -> Failure? {
    var options = EngineOptions()
    options.threadCount = 1
    options.withoutWeights = withoutWeights
    do throws(Failure) { _ = try Engine(path: path, options: options) } catch { return error }
    return nil
  }

  private static func transcribing(_ path: String) -> Failure? {
    var options = EngineOptions()
    options.threadCount = 1
    do throws(Failure) { _ = try Transcriber(path: path, options: options) } catch { return error }
    return nil
  }

  @Test(arguments: [
    "deepseek-ai/DeepSeek-V2-Lite", "https://huggingface.co/deepseek-ai/DeepSeek-V2-Lite",
    "hf.co/deepseek-ai/DeepSeek-V2-Lite",
  ])
  func namesOfAHub(_ path: String) throws {
    for failure in [opening(path), opening(path, withoutWeights: true), Self.transcribing(path)] {
      let failure = try #require(failure)
      #expect(failure.status == .notFound)
      #expect(failure.message.hasPrefix("\(path): no such file or folder; "))
      #expect(
        failure.message.contains("'hf download deepseek-ai/DeepSeek-V2-Lite --local-dir DeepSeek-V2-Lite'"))
    }
  }

  @Test(arguments: [
    "/deepseek-ai/DeepSeek-V2-Lite", "./DeepSeek-V2-Lite", "../DeepSeek-V2-Lite", "DeepSeek-V2-Lite", "a/b/c", "a//b",
    "a/", "~/model", "tmp:/model", "a b/model", "",
  ])
  func pathsAreNoNamesOfAHub(_ path: String) {
    #expect(opening(path)?.status == .notFound)
    #expect(opening(path)?.message == "\(path): no such file or folder")
  }

  @Test func filesOfGGUF() throws {
    let folder = try TemporaryFolder()
    try folder.write("model-Q4_K_M.gguf", Array("GGUF".utf8) + [3, 0, 0, 0])
    for path in [folder.path + "/model-Q4_K_M.gguf", folder.path] {
      for failure in [opening(path), opening(path, withoutWeights: true), Self.transcribing(path)] {
        #expect(failure?.status == .unsupported)
        #expect(failure?.message.hasPrefix(path + ": ") == true)
        #expect(failure?.message.contains("a GGUF file, which is another format") == true)
        #expect(failure?.message.contains("config.json, safetensors, tokenizer") == true)
      }
    }
    // Beside a model it is nobody's business.
    try folder.write("config.json", Array("{}".utf8))
    #expect(opening(folder.path)?.message.contains("GGUF") == false)
    #expect(opening(folder.path + "/config.json")?.message.contains("GGUF") == false)
  }

  @Test func aCacheOfDownloads() throws {
    let folder = try TemporaryFolder()
    #expect(mkdir(folder.path + "/snapshots", 0o700) == 0)
    #expect(mkdir(folder.path + "/snapshots/85864749cd61", 0o700) == 0)
    defer {
      rmdir(folder.path + "/snapshots/85864749cd61")
      rmdir(folder.path + "/snapshots")
    }
    #expect(opening(folder.path)?.message.hasSuffix("is \(folder.path)/snapshots/85864749cd61") == true)
  }

  @Test(arguments: ["model.safetensors", "tokenizer.json", "config.json"])
  func pointersOfGit(_ name: String) throws {
    let folder = try TemporaryFolder()
    for file in ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"] {
      try folder.write(file, try File(path: Fixtures.shippedModel + "/" + file).readAll(limit: 1 << 30))
    }
    #expect(opening(folder.path) == nil)
    try folder.write(name, Array("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n".utf8))
    let failure = try #require(opening(folder.path))
    #expect(failure.status == .malformed)
    #expect(failure.message.hasPrefix("\(folder.path)/\(name): a Git LFS pointer and not the file itself of 5 bytes"))
  }

  @Test func modelsOfTheOtherKind() throws {
    let chat = try #require(opening(Self.whisper))
    #expect(chat.status == .unsupported)
    #expect(chat.message.contains("model_type is \"whisper\"") && chat.message.contains("dormouse transcribe"))
    let audio = try #require(Self.transcribing(Fixtures.shippedModel))
    #expect(audio.status == .unsupported)
    #expect(audio.message.contains("model_type is \"deepseek_v3\"") && audio.message.contains("dormouse run"))
  }
}
