import ArgumentParser
import Glibc

/// Where packed weights are kept for the next start.
enum PackedCacheChoice: ExpressibleByArgument {
  case off
  /// The folder .dormouse in the model's folder.
  case model
  /// The folder dormouse in the user's cache folder.
  case user
  case folder(String)

  init?(argument: String) {
    switch argument {
    case "": return nil
    case "off": self = .off
    case "model": self = .model
    case "user": self = .user
    default: self = .folder(argument)
    }
  }

  static var defaultCompletionKind: CompletionKind { .directory }

  /// The folder's path; nil for none.
  /// - Parameter model: a model folder, or a file in one.
  func path(model: String) throws(CommandFailure) -> String? {
    switch self {
    case .off: nil
    case .model: "\(PackedCacheChoice.folder(of: model))/.dormouse"
    case .user: "\(try PackedCacheChoice.userFolder())/dormouse"
    case .folder(let path): path
    }
  }

  private static func folder(of model: String) -> String {
    var information = stat()
    guard stat(model, &information) == 0, information.st_mode & S_IFMT != S_IFDIR else { return model }
    return FilePath.folder(of: model)
  }

  /// The XDG base directory specification's: a relative path counts as none.
  private static func userFolder() throws(CommandFailure) -> String {
    if let folder = variable("XDG_CACHE_HOME"), folder.hasPrefix("/") { return folder }
    guard let home = variable("HOME") else {
      throw CommandFailure(message: "--packed-cache user: neither XDG_CACHE_HOME nor HOME is set")
    }
    return "\(home)/.cache"
  }

  private static func variable(_ name: String) -> String? {
    guard let value = getenv(name).map({ String(cString: $0) }), !value.isEmpty else { return nil }
    return value
  }
}
