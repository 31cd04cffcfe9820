"""Small lists of names, written for this scanner: frequent ones, so that a frequent name is not missed.

They are neither complete nor a register of anybody; what stands in none of them is found by title or context alone.
"""

from __future__ import annotations

SURNAMES_HAN = frozenset(
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许韩邓冯曹彭曾肖田董潘袁蔡蒋余于杜叶程魏苏吕丁任卢姚沈钟姜崔谭"
    "陆范汪廖石金韦贾夏付方邹熊白孟秦邱侯江尹薛闫段雷龙黎史陶贺毛郝顾龚邵万覃武钱戴严莫孔向常汤康易乔赖文"
)
SURNAMES_HAN_DOUBLE = (
    "欧阳",
    "司马",
    "上官",
    "诸葛",
    "东方",
    "皇甫",
    "尉迟",
    "公孙",
    "慕容",
    "令狐",
    "司徒",
    "夏侯",
)
GIVEN_HAN = frozenset(
    "伟芳娜敏静丽强磊洋勇艳杰娟涛明超秀英霞平刚桂兰华建国文玲红军燕萍鹏飞辉波斌宇浩凯健俊帆雪琳倩婷颖慧巧美琴云莲真环"
    "雅佳嘉琼勤珍贞莉梅香月莺媛瑞凡瑾露瑶怡婵雁蓓纨仪荷丹蓉眉君琰韵融园艺咏卿聪澜纯毓悦昭冰爽琬茗羽希宁欣飘育滢馥筠"
    "柔竹霭凝晓欢霄枫芸菲寒伊亚宜可姬舒影荔枝思馨梓轩涵子晨博睿泽豪志德海山仁世广义兴良福生龙元全胜学祥才发成康星光"
    "天达安岩中茂进有坚和彪诚先敬震振壮会思群豪心邦承乐绍功松善厚庆民友裕河哲江超亮政谦亨奇固之轮翰朗伯宏言若鸣朋梁"
    "栋维启克伦翔旭鹏泰晟阳春东南北新立永长小大玉淑凤洁诗梦佩"
)
_PINYIN = """
wang li zhang liu chen yang huang zhao wu zhou xu sun ma zhu hu guo he lin gao luo zheng liang xie song
tang han deng feng cao peng zeng xiao tian dong pan yuan cai jiang yu du ye cheng wei su lü lu ding ren
yao shen zhong cui tan fan liao shi jin jia xia fu fang zou xiong bai meng qin qiu hou yin xue yan duan
lei long tao mao hao gu gong shao wan qian dai mo kong ouyang sima zhuge
"""
#: English; German, Dutch and Nordic; French; Spanish, Portuguese and Italian; Slavic, Greek, Romanian and Hungarian.
_GIVEN = """
james john robert michael william david richard joseph thomas charles christopher daniel matthew anthony
mark paul steven andrew george kenneth edward brian kevin ronald timothy jason jeffrey ryan jacob gary
nicholas eric stephen jonathan scott brandon benjamin samuel gregory patrick jack oliver harry alfie henry
arthur oscar leo mary patricia jennifer linda elizabeth barbara susan jessica sarah karen nancy lisa betty
margaret sandra ashley dorothy kimberly emily donna michelle carol amanda melissa deborah stephanie
rebecca laura sharon cynthia kathleen amy shirley angela helen anna brenda pamela nicole emma samantha
katherine christine rachel olivia amelia isla sophie charlotte alice
hans peter klaus jürgen günter wolfgang dieter uwe bernd andreas stefan thorsten jens lukas felix
maximilian jonas ursula monika petra sabine renate helga karin ingrid heike gabriele claudia katrin anja
lena leonie hannah johannes jan pieter kees willem sanne anouk lars erik björn nils anders karl astrid
freja mette søren juha matti aino mikko antti sofie maja elin gustav
jean pierre michel philippe alain bernard jacques françois laurent christophe nicolas julien sébastien
guillaume mathieu antoine hugo marie nathalie isabelle sylvie catherine françoise monique valérie sandrine
céline aurélie camille manon chloé léa juliette élodie amélie margaux
antonio josé manuel francisco juan javier carlos miguel alejandro pablo sergio jorge diego álvaro maría
carmen josefa isabel dolores pilar teresa lucía elena cristina marta paula joão pedro rui tiago inês
beatriz mariana giuseppe giovanni mario luigi francesco marco luca matteo alessandro lorenzo giulia
francesca chiara sara valentina martina elisa paolo roberto stefano davide
ivan dmitri sergei alexei vladimir andrei nikolai mikhail olga natalia tatiana svetlana irina ekaterina
oksana piotr krzysztof andrzej tomasz paweł michał katarzyna agnieszka małgorzata joanna magdalena jiří
tomáš petr jana eva lenka milan zoran jelena marko nikos giorgos dimitris eleni ion andreea mihai ioana
gábor lászló zsófia eszter

"""
SURNAMES_PINYIN = frozenset(_PINYIN.split())
GIVEN_LATIN = frozenset(_GIVEN.split())
TITLES = (
    "Mr|Mrs|Ms|Miss|Mister|Dr|Prof|Professor|Sir|Lady|Herr|Frau|Monsieur|Madame|Mademoiselle|Mme|Señor|Señora|Sr|Sra|"
    "Don|Doña|Signor|Signora|Senhor|Senhora|Pan|Pani|Meneer|Mevrouw|Herra|Rouva"
)
TITLES_HAN = "先生|女士|小姐|老师|医生|经理|同学|师傅|阿姨|叔叔|教授|律师|主任|总监|护士|同志"
SAID_BEFORE_HAN = "我叫|我是|名叫|叫做|姓名是|姓名|名字是|名字叫|联系人|收件人|患者|客户"
SAID_BEFORE = (
    r"my name is|name is|this is|I am|I'm|called|signed by|ich heiße|mein Name ist|ich bin|je m'appelle|mon nom est|"
    r"me llamo|mi nombre es|soy|mi chiamo|il mio nome è|o meu nome é|chamo-me|nazywam się|mijn naam is|jag heter|"
    r"jeg hedder|nimeni on"
)
