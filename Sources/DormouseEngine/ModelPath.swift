import DormouseSupport

/// What a caller gives for a model: its folder, or a file in it. A sentence names the other formats that callers try now and then.
enum ModelPath {
  /// The folder itself, or the one that holds the file at `path`.
  /// - Throws: `Failure(.notFound)` when nothing is there, `.unsupported` for files of another format.
  static func folder(of path: String) throws(Failure) -> String {
    guard File.exists(path) else { throw missing(path) }
    guard File.isFolder(path) else {
      try refuseOtherFormats(path)
      return File.folder(of: path)
    }
    if !File.exists(path + "/config.json") { try explainFolder(path) }
    return path
  }

  private static func missing(_ path: String) -> Failure {
    var sentence = "\(path): no such file or folder"
    if let name = hubName(path) {
      sentence +=
        "; if this is a model's name on a hub: nothing is downloaded here; get its folder first, such as by "
        + "'hf download \(name) --local-dir \(name.split(separator: "/").last ?? "")', and give the folder"
    }
    return Failure(.notFound, sentence)
  }

  /// OWNER/NAME of a model on a hub, of which `path` is the name or the address; nil for what looks like a path.
  private static func hubName(_ path: String) -> String? {
    var rest = path[...]
    for address in ["https://huggingface.co/", "huggingface.co/", "https://hf.co/", "hf.co/"]
    where rest.hasPrefix(address) {
      rest = rest.dropFirst(address.count)
      break
    }
    let parts = rest.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 2, parts.allSatisfy({ isHubPart($0) }), !File.exists(String(parts[0])) else { return nil }
    return String(rest)
  }

  private static func isHubPart(_ part: Substring) -> Bool {
    guard let first = part.utf8.first, first != UInt8(ascii: "."), first != UInt8(ascii: "-") else { return false }
    return part.utf8.allSatisfy { byte in
      (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
        || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || "-_.".utf8.contains(byte)
    }
  }

  /// A file of a known other format, by its first bytes, is not taken for one in a model's folder.
  private static func refuseOtherFormats(_ path: String) throws(Failure) {
    // What can't be opened or has less than four bytes is none of these.
    guard let file = try? File(path: path), file.size >= ggufMagic.count,
      let bytes = try? file.read(at: 0, count: ggufMagic.count), bytes == ggufMagic
    else { return }
    throw Failure(.unsupported, "\(path): a GGUF file, \(otherFormat)")
  }

  /// A folder without config.json: perhaps it holds something that is known.
  private static func explainFolder(_ path: String) throws(Failure) {
    let names = names(in: path)
    if let name = names.first(where: { $0.lowercased().hasSuffix(".gguf") }) {
      throw Failure(.unsupported, "\(path): no config.json, but \(Excerpt.name(name)), a GGUF file, \(otherFormat)")
    }
    if names.contains("snapshots"), let snapshot = ModelPath.names(in: path + "/snapshots").first {
      throw Failure(
        .notFound, "\(path): a hub's download cache; the model's folder is \(path)/snapshots/\(snapshot)")
    }
  }

  private static let ggufMagic = Array("GGUF".utf8)
  private static let otherFormat =
    "which is another format; Dormouse reads the folder as it was published (config.json, safetensors, tokenizer): "
    + "download the original model in place of its conversion"

  /// What lies in a folder, in order, but for hidden files; nothing where it can't be read.
  private static func names(in path: String) -> [String] {
    ((try? File.names(in: path)) ?? []).filter { !$0.hasPrefix(".") }
  }
}
