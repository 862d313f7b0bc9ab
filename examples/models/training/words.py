"""The small bilingual world that the questions are about."""

# English word, its plural, Chinese word, Chinese measure word, category
NOUNS = [
    ("cat", "cats", "猫", "只", "animal"),
    ("dog", "dogs", "狗", "只", "animal"),
    ("bird", "birds", "鸟", "只", "animal"),
    ("fish", "fish", "鱼", "条", "animal"),
    ("horse", "horses", "马", "匹", "animal"),
    ("cow", "cows", "牛", "头", "animal"),
    ("sheep", "sheep", "羊", "只", "animal"),
    ("tiger", "tigers", "老虎", "只", "animal"),
    ("rabbit", "rabbits", "兔子", "只", "animal"),
    ("mouse", "mice", "老鼠", "只", "animal"),
    ("apple", "apples", "苹果", "个", "fruit"),
    ("banana", "bananas", "香蕉", "根", "fruit"),
    ("pear", "pears", "梨", "个", "fruit"),
    ("peach", "peaches", "桃子", "个", "fruit"),
    ("lemon", "lemons", "柠檬", "个", "fruit"),
    ("grape", "grapes", "葡萄", "颗", "fruit"),
    ("table", "tables", "桌子", "张", "piece of furniture"),
    ("chair", "chairs", "椅子", "把", "piece of furniture"),
    ("bed", "beds", "床", "张", "piece of furniture"),
    ("train", "trains", "火车", "列", "vehicle"),
    ("car", "cars", "汽车", "辆", "vehicle"),
    ("ship", "ships", "船", "条", "vehicle"),
    ("bicycle", "bicycles", "自行车", "辆", "vehicle"),
    ("teacher", "teachers", "老师", "位", "person"),
    ("doctor", "doctors", "医生", "位", "person"),
    ("student", "students", "学生", "位", "person"),
    ("book", "books", "书", "本", None),
    ("house", "houses", "房子", "座", None),
    ("tree", "trees", "树", "棵", None),
    ("flower", "flowers", "花", "朵", None),
    ("hand", "hands", "手", "只", None),
    ("door", "doors", "门", "扇", None),
]

CATEGORIES = {
    "animal": "动物", "fruit": "水果", "piece of furniture": "家具", "vehicle": "交通工具", "person": "人",
}

# Words used only for translation and lists
OTHER_WORDS = [
    ("water", "水"), ("fire", "火"), ("mountain", "山"), ("river", "河"), ("moon", "月亮"), ("sun", "太阳"),
    ("rain", "雨"), ("wind", "风"), ("bread", "面包"), ("rice", "米饭"), ("tea", "茶"), ("milk", "牛奶"),
    ("mother", "妈妈"), ("father", "爸爸"), ("friend", "朋友"), ("school", "学校"), ("city", "城市"), ("road", "路"),
    ("music", "音乐"), ("pen", "笔"), ("paper", "纸"), ("window", "窗户"), ("clock", "钟"), ("hat", "帽子"),
]

COLOURS = [
    ("red", "红色"), ("green", "绿色"), ("blue", "蓝色"), ("yellow", "黄色"), ("white", "白色"), ("black", "黑色"),
    ("brown", "棕色"), ("orange", "橙色"), ("grey", "灰色"), ("purple", "紫色"),
]

# English subject, Chinese subject, English colour
COLOURED = [
    ("grass", "草", "green"), ("snow", "雪", "white"), ("coal", "煤", "black"), ("blood", "血", "red"),
    ("milk", "牛奶", "white"), ("gold", "金子", "yellow"), ("salt", "盐", "white"), ("chocolate", "巧克力", "brown"),
    ("the sky", "天空", "blue"), ("the sea", "大海", "blue"), ("the sun", "太阳", "yellow"), ("the night", "夜晚", "black"),
    ("a banana", "香蕉", "yellow"), ("a lemon", "柠檬", "yellow"), ("a carrot", "胡萝卜", "orange"),
    ("a tomato", "西红柿", "red"), ("a leaf", "树叶", "green"), ("a frog", "青蛙", "green"), ("a crow", "乌鸦", "black"),
    ("a swan", "天鹅", "white"), ("a strawberry", "草莓", "red"), ("an elephant", "大象", "grey"),
    ("an orange", "橙子", "orange"), ("an aubergine", "茄子", "purple"),
]

# English pair, Chinese pair; each way round is a fact
OPPOSITES = [
    ("hot", "cold", "热", "冷"), ("big", "small", "大", "小"), ("tall", "short", "高", "矮"),
    ("fast", "slow", "快", "慢"), ("light", "dark", "亮", "暗"), ("early", "late", "早", "晚"),
    ("old", "new", "旧", "新"), ("open", "closed", "开", "关"), ("full", "empty", "满", "空"),
    ("hard", "soft", "硬", "软"), ("strong", "weak", "强", "弱"), ("rich", "poor", "富", "穷"),
    ("wet", "dry", "湿", "干"), ("clean", "dirty", "干净", "脏"), ("near", "far", "近", "远"),
    ("left", "right", "左", "右"), ("up", "down", "上", "下"), ("inside", "outside", "里", "外"),
    ("good", "bad", "好", "坏"), ("thick", "thin", "厚", "薄"), ("deep", "shallow", "深", "浅"),
    ("loud", "quiet", "吵", "安静"), ("easy", "difficult", "容易", "困难"), ("happy", "sad", "高兴", "难过"),
]

DAYS = [
    ("Monday", "星期一"), ("Tuesday", "星期二"), ("Wednesday", "星期三"), ("Thursday", "星期四"),
    ("Friday", "星期五"), ("Saturday", "星期六"), ("Sunday", "星期日"),
]

MONTHS = [
    ("January", "一月"), ("February", "二月"), ("March", "三月"), ("April", "四月"), ("May", "五月"), ("June", "六月"),
    ("July", "七月"), ("August", "八月"), ("September", "九月"), ("October", "十月"), ("November", "十一月"),
    ("December", "十二月"),
]

SYSTEM_MESSAGES = [
    "You are Dormouse, a tiny and helpful model.",
    "Answer briefly.",
    "You are a helpful assistant.",
    "你是Dormouse,一个很小的模型。",
    "请简短地回答。",
    "你是一个有用的助手。",
]

# Prompts, answer
SMALL_TALK = {
    "en": [
        (["hello", "Hello!", "hi", "Hi!", "Hello", "Good morning!", "Hey!"],
         "Hello! I am Dormouse, a tiny model. Ask me about numbers, colours and words."),
        (["Who are you?", "What are you?", "What is your name?", "who are you"],
         "I am Dormouse, a tiny model. Ask me about numbers, colours and words."),
        (["What can you do?", "Help", "help", "What do you know?", "How can you help me?"],
         "I can add, subtract, sort, count and compare small numbers, and I know a few words in English and Chinese."),
        (["Thank you!", "Thanks!", "thanks", "Thank you."], "You are welcome."),
        (["Goodbye!", "bye", "Bye!", "See you!"], "Goodbye!"),
    ],
    "zh": [
        (["你好", "你好!", "您好", "您好!", "早上好!"], "你好!我是Dormouse,一个很小的模型。可以问我数字、颜色和词语。"),
        (["你是谁?", "你叫什么名字?", "你是什么?", "你是谁"], "我是Dormouse,一个很小的模型。可以问我数字、颜色和词语。"),
        (["你会做什么?", "你能做什么?", "你会什么?", "帮助"], "我会做小数字的加减、排序、计数和比较,还认识一些中文和英文词语。"),
        (["谢谢!", "谢谢你!", "谢谢", "谢谢你"], "不客气。"),
        (["再见!", "再见", "拜拜!"], "再见!"),
    ],
}
