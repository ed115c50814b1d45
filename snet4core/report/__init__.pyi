from .contents import refuse_others as refuse_others
from .page import write_report as write_report
from .score_page import write_score_report as write_score_report
