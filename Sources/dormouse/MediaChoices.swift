import ArgumentParser
import DormouseClient
import Glibc

/// Files that go with a prompt.
struct MediaChoices: ParsableArguments {
  @Option(help: ArgumentHelp("An image ahead of the prompt; may be repeated.", valueName: "file"), completion: .file())
  var image: [String] = []

  @Option(help: ArgumentHelp("A video ahead of the prompt; may be repeated.", valueName: "file"), completion: .file())
  var video: [String] = []

  @Option(help: ArgumentHelp("Audio ahead of the prompt; may be repeated.", valueName: "file"), completion: .file())
  var audio: [String] = []

  @Option(
    help: ArgumentHelp(
      "A folder whose files messages may name, besides that of --messages; may be repeated.", valueName: "folder"),
    completion: .directory)
  var mediaRoot: [String] = []

  @Option(
    help: ArgumentHelp(
      "A Whisper folder that writes down what is said, for a model that does not hear itself.", valueName: "folder"),
    completion: .directory)
  var speechModel: String?

  enum Kind: String, CaseIterable {
    case image, video, audio

    /// For people.
    var words: String {
      switch self {
      case .image: "an image"
      case .video: "a video"
      case .audio: "audio"
      }
    }
  }

  struct File {
    let kind: Kind
    /// From the root.
    let path: String
  }

  var isEmpty: Bool { image.isEmpty && video.isEmpty && audio.isEmpty }

  /// The files in the order in which they stand on the command line.
  /// - Throws: for one that is not there: it shows before the weights are loaded.
  func files() throws(CommandFailure) -> [File] {
    var rest: [Kind: ArraySlice<String>] = [.image: image[...], .video: video[...], .audio: audio[...]]
    var files: [File] = []
    for kind in MediaChoices.order {
      guard let path = rest[kind]?.popFirst() else { continue }
      files.append(File(kind: kind, path: try FilePath.absolute(path)))
    }
    return files
  }

  /// The kinds of the options as they follow each other.
  private static var order: [Kind] {
    CommandLine.arguments.compactMap { argument in
      Kind.allCases.first { argument == "--\($0.rawValue)" || argument.hasPrefix("--\($0.rawValue)=") }
    }
  }

  /// The folders of the files that the user has named, and who hears.
  /// - Parameters:
  ///   - paths: from the root.
  ///   - messages: the file of --messages, if there is one. The files that it names are looked for beside it.
  ///   - allowsEveryFolder: for a chat, whose user names the files as he goes.
  func options(
    paths: [String], messages: String?, allowsEveryFolder: Bool
  ) throws(CommandFailure) -> OpenEngine.MediaOptions {
    var roots = Set(paths.filter { $0.hasPrefix("/") }.map { FilePath.folder(of: $0) })
    for root in mediaRoot { roots.insert(try FilePath.absolute(root)) }
    var options = OpenEngine.MediaOptions()
    if let messages, messages != "-" {
      let folder = FilePath.folder(of: try FilePath.absolute(messages))
      roots.insert(folder)
      options.base = folder
    }
    if allowsEveryFolder { roots = ["/"] }
    // A saved chat may name files that are gone since.
    options.roots = roots.filter { access($0, F_OK) == 0 }.sorted()
    options.speechModel = speechModel
    return options
  }
}
